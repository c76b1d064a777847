# The code that a hijacked thread runs, and the start routine of the thread that it creates.  x86-64, position independent.
#
# `stub` is entered with rbx = data block on the hijacked thread's stack, rsp = scratch stack, 16-byte aligned, and all
# else as the thread had it.  It saves what C code may change, maps the context block at the address that was chosen for
# it, calls pthread_create(thread_main, context), and returns to where the thread was.  No Python code runs in it.  It
# makes no call that the kernel would have to restart: that of the thread may be waiting to be.
#
# Data block: 0x10 old signal mask, 0x18 signals to block, 0x20 pthread_t, 0x28 size and 0x30 address of the context,
# 0x38 pthread_create, 0x40 thread_main, 0x58 __errno_location, 0x60 saved registers, 0xd8 rsp to return by,
# 0x100 template of the context, 0x200 XSAVE area.
#
# Context: 0x00 stage, 0x04 outcome, 0x08 go, 0x0c polls left, 0x10 thirteen functions in the order of `stub.CALLED`,
# 0x80 address of the script, 0x88 size of the mapping, 0x90 timespec of one poll, 0xa0 result of pthread_create,
# 0xa4 made (1) or failed (2), 0xb0 "__builtins__", 0x100 report of 0x400 bytes.
# Stages: 1 started, 2 waits for the interpreter lock, 3 script runs, 4 script finished, 5 lock given back,
# 6 Python is not initialised, 7 the go never came, 8 the script was taken back.  Unmapped: ended, with nothing to report.
# Outcome: 0 well, 1 there is a report, 2 failed without one.
# Go, written by the observer: 1 run the script, 0 it is taken back, 2 the report was read.  The thread turns 1 into 3.
.intel_syntax noprefix
.text
.globl stub
stub:
    cld
    mov edi, 2                      # SIG_SETMASK
    lea rsi, [rbx+0x18]
    lea rdx, [rbx+0x10]
    mov r10d, 8
    mov eax, 14                     # rt_sigprocmask
    syscall
    mov eax, -1
    mov edx, -1
    xsave64 [rbx+0x200]
    call [rbx+0x58]                 # __errno_location
    mov r13, rax
    mov r14d, [rax]
    mov rdi, [rbx+0x30]
    mov rsi, [rbx+0x28]
    mov edx, 3
    mov r10d, 0x100022              # PRIVATE|ANON|FIXED_NOREPLACE at a free address the tracer picked
    mov r8, -1
    xor r9d, r9d
    mov eax, 9                      # mmap
    syscall
    mov r12, rax
    cmp rax, -4096
    ja 1f
    mov rdi, rax
    lea rsi, [rbx+0x100]
    mov ecx, 0x100
    rep movsb
    lea rdi, [rbx+0x20]
    xor esi, esi
    mov rdx, [rbx+0x40]
    mov rcx, r12
    xor eax, eax
    call [rbx+0x38]                 # pthread_create
    mov [r12+0xa0], eax
    test eax, eax
    jz 1f
    mov dword ptr [r12+0xa4], 2     # failed: the tracer reads why, for some 20 ms at most
    mov ecx, 1000000
2:  pause
    cmp dword ptr [r12+0x08], 2     # it has read
    je 3f
    dec ecx
    jnz 2b
3:  mov rdi, r12
    mov rsi, [rbx+0x28]
    mov eax, 11                     # munmap
    syscall
    mov r12, -1
1:  mov [r13], r14d                 # errno back
    mov eax, -1
    mov edx, -1
    xrstor64 [rbx+0x200]
    mov edi, 2
    lea rsi, [rbx+0x10]
    xor edx, edx
    mov r10d, 8
    mov eax, 14
    syscall
    cmp r12, -4096
    ja 4f
    mov dword ptr [r12+0xa4], 1     # made: the new thread may be told to go
4:
    push qword ptr [rbx+0xd0]       # flags
    popfq
    mov r15, [rbx+0x60]
    mov r14, [rbx+0x68]
    mov r13, [rbx+0x70]
    mov r12, [rbx+0x78]
    mov r11, [rbx+0x80]
    mov r10, [rbx+0x88]
    mov r9, [rbx+0x90]
    mov r8, [rbx+0x98]
    mov rbp, [rbx+0xa0]
    mov rdi, [rbx+0xa8]
    mov rsi, [rbx+0xb0]
    mov rdx, [rbx+0xb8]
    mov rcx, [rbx+0xc0]
    mov rax, [rbx+0xc8]
    mov rsp, [rbx+0xd8]             # = original rsp - 144; there: original rbx, original rip
    pop rbx
    ret 128                         # over the red zone, back to where the thread was
.balign 16

# start routine of the new thread; rdi = context
.globl thread_main
thread_main:
    endbr64
    push rbx
    push r12
    push r13
    push r14
    push rbp
    mov rbx, rdi
    mov dword ptr [rbx], 1          # started
    call [rbx+0x10]                 # pthread_self
    mov rdi, rax
    call [rbx+0x18]                 # pthread_detach
2:  cmp dword ptr [rbx+0x08], 1     # go?
    je 3f
    dec dword ptr [rbx+0x0c]
    js 9f
    lea rdi, [rbx+0x90]
    xor esi, esi
    mov eax, 35                     # nanosleep
    syscall
    jmp 2b
3:  call [rbx+0x20]                 # Py_IsInitialized
    test eax, eax
    jz 8f
    mov dword ptr [rbx], 2          # waiting for the interpreter lock
    call [rbx+0x28]                 # PyGILState_Ensure
    mov r12d, eax
    mov ebp, 8
    mov dword ptr [rbx], 3          # before the exchange: whoever reads 2 after writing 0 knows that nothing will run
    mov eax, 1
    mov ecx, 3
    lock cmpxchg [rbx+0x08], ecx
    jne 7f                          # taken back
    mov ebp, 4
    mov dword ptr [rbx+0x04], 2
    xor r14d, r14d
    call [rbx+0x38]                 # PyDict_New
    mov r13, rax
    test rax, rax
    jz 5f
    call [rbx+0x40]                 # PyEval_GetBuiltins
    mov rdi, r13
    lea rsi, [rbx+0xb0]
    mov rdx, rax
    call [rbx+0x48]                 # PyDict_SetItemString
    test eax, eax
    jnz 5f
    mov rdi, [rbx+0x80]
    mov esi, 258                    # Py_eval_input
    mov rdx, r13
    mov rcx, r13
    xor r8d, r8d
    call [rbx+0x50]                 # PyRun_StringFlags
    mov r14, rax
    test rax, rax
    jz 5f
    mov rdi, rax
    call [rbx+0x58]                 # PyBytes_Size
    test rax, rax
    jz 4f                           # nothing to tell: all is well
    cmp rax, 0x400
    jne 5f
    mov rdi, r14
    call [rbx+0x60]                 # PyBytes_AsString
    mov rsi, rax
    lea rdi, [rbx+0x100]
    mov ecx, 0x400
    rep movsb
    mov dword ptr [rbx+0x04], 1
    jmp 6f
4:  mov dword ptr [rbx+0x04], 0
    jmp 6f
5:  call [rbx+0x68]                 # PyErr_Clear
6:  mov rdi, r14
    call [rbx+0x70]                 # Py_DecRef
    mov rdi, r13
    call [rbx+0x70]
7:  mov [rbx], ebp                  # script finished, or taken back
    mov edi, r12d
    call [rbx+0x30]                 # PyGILState_Release
    cmp ebp, 8
    je 4f
    mov dword ptr [rbx], 5
    cmp dword ptr [rbx+0x04], 0     # nothing to report: go without waiting
    je 5f
    jmp 4f
8:  mov dword ptr [rbx], 6          # not initialised
    jmp 4f
9:  mov dword ptr [rbx], 7          # go never came: nobody is there to read it
    jmp 5f
4:  mov dword ptr [rbx+0x0c], 25000 # the report is to be read: 5 s
6:  cmp dword ptr [rbx+0x08], 2
    je 5f
    dec dword ptr [rbx+0x0c]
    js 5f
    lea rdi, [rbx+0x90]
    xor esi, esi
    mov eax, 35                     # nanosleep
    syscall
    jmp 6b
5:  mov rdi, rbx                    # drop the context
    mov rsi, [rbx+0x88]
    mov eax, 11                     # munmap
    syscall
    xor eax, eax
    pop rbp
    pop r14
    pop r13
    pop r12
    pop rbx
    ret
.globl stub_end
stub_end:
