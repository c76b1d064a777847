// The code that a hijacked thread runs, and the start routine of the thread that it creates.  AArch64, position
// independent.
// What each part is for is told in `stub_x86_64.S`, whose blocks and protocol these are; here stands what differs.
//
// `stub` is entered with sp = data block on the hijacked thread's stack, and all else as the thread had it.  It returns
// by rt_sigreturn from a signal frame at 0x200 of the data block: the observer has filled in all general registers, and
// what vectors have above 128 bits; the stub adds the short vectors, the signal mask and the alternate stack, and the
// kernel restores everything at once.  No branch could do that: each needs a register, even the inline `svc` of the C
// library leaves all but x0 alive, and `br` into code with landing pads (BTI) faults where there is none.  rt_sigreturn
// voids what restart_syscall would go on with, so threads whose call needs that are not borrowed.
//
// Signal frame (struct rt_sigframe, arch/arm64/kernel/signal.c): 0x90 alternate stack, 0xa8 signal mask, 0x138 x0 to
// x30, 0x230 sp, 0x238 pc, 0x240 pstate, 0x250 record of the vectors: 0x258 fpsr, 0x25c fpcr, 0x260 v0 to v31; 0x460
// record of SVE, if any.
//
// Proven in the tests (qemu-user 7.2, `tests/attach/test_stub_aarch64.py`): all registers, short vectors, flags, fpcr,
// fpsr, errno, signal mask, alternate stack and stack are as they were; the mapping, the arguments of pthread_create,
// the mask that the new thread inherits; the protocol to each of its ends; mmap and pthread_create that fail.
//
// Tried by hand on a whole emulated machine (qemu-system 7.2, -cpu max with SVE of 512 bits, two processors): attaching
// by ptrace itself on Linux 6.1 with Python 3.11, and on 6.12 with Python 3.13 and a C library with BTI and PAC, the
// thread parked in read, epoll, sleep and lock, or running; what the kernel shows of an interrupted call, and its
// restart; the SVE registers of a loop that checks them; observers that are killed before and after the commit point.
//
// Not proven: any real processor, hence the order in which it makes writes visible to others; MTE; SME (no thread in
// streaming mode is borrowed, one with live ZA may be); pages larger than 4 KiB; the nudge of PEP 768 on this machine;
// the refusal of threads with a guarded control stack (GCS), which the kernel would not let return from a frame that it
// has not made.
.arch armv8-a

.macro invoke base, at
    ldr x9, [\base, #\at]
    blr x9
.endm
.macro call at
    invoke x19, \at
.endm
.macro system number
    mov x8, #\number
    svc #0
.endm
.macro stage number
    mov w9, #\number
    stlr w9, [x19]                  // all that was written before is seen before
.endm

.text
.globl stub
stub:
    mov x19, sp
    add x20, x19, #0x200            // signal frame
    mov x0, #2                      // SIG_SETMASK
    add x1, x19, #0x18
    add x2, x20, #0xa8
    mov x3, #8
    system 135                      // rt_sigprocmask
    mov x0, xzr
    add x1, x20, #0x90
    system 132                      // sigaltstack
    add x9, x20, #0x250
    mrs x10, fpsr
    mrs x11, fpcr
    stp w10, w11, [x9, #0x08]
    stp q0, q1, [x9, #0x10]
    stp q2, q3, [x9, #0x30]
    stp q4, q5, [x9, #0x50]
    stp q6, q7, [x9, #0x70]
    stp q8, q9, [x9, #0x90]
    stp q10, q11, [x9, #0xb0]
    stp q12, q13, [x9, #0xd0]
    stp q14, q15, [x9, #0xf0]
    stp q16, q17, [x9, #0x110]
    stp q18, q19, [x9, #0x130]
    stp q20, q21, [x9, #0x150]
    stp q22, q23, [x9, #0x170]
    stp q24, q25, [x9, #0x190]
    stp q26, q27, [x9, #0x1b0]
    stp q28, q29, [x9, #0x1d0]
    stp q30, q31, [x9, #0x1f0]
    invoke x19, 0x58                // __errno_location
    mov x21, x0
    ldr w22, [x0]
    ldr x0, [x19, #0x30]
    ldr x1, [x19, #0x28]
    mov x2, #3
    mov w3, #0x22
    movk w3, #0x10, lsl #16         // PRIVATE|ANON|FIXED_NOREPLACE at a free address the tracer picked
    mov x4, #-1
    mov x5, xzr
    system 222                      // mmap
    mov x23, x0
    ldr x9, [x19, #0x30]
    cmp x0, x9
    b.ne 4f                         // failed; or elsewhere, as FIXED_NOREPLACE is only a hint before Linux 4.17
    add x9, x19, #0x100
    mov x10, x23
    add x11, x9, #0x100
1:  ldp x12, x13, [x9], #16
    stp x12, x13, [x10], #16
    cmp x9, x11
    b.ne 1b
    add x0, x19, #0x20
    mov x1, xzr
    ldr x2, [x19, #0x40]
    mov x3, x23
    invoke x19, 0x38                // pthread_create
    str w0, [x23, #0xa0]
    mov w10, #1                     // made: the new thread may be told to go
    cbz w0, 5f
    add x9, x23, #0xa4
    mov w10, #2                     // failed: the tracer reads why, for some 20 ms at most
    stlr w10, [x9]
    mov w24, #100
2:  ldr w9, [x23, #0x08]
    cmp w9, #2                      // it has read
    b.eq 4f
    add x0, x23, #0x90
    mov x1, xzr
    system 101                      // nanosleep
    subs w24, w24, #1
    b.ne 2b
4:  mov x0, x23                     // of an error this is no address, and changes nothing
    ldr x1, [x19, #0x28]
    system 215                      // munmap
    str w22, [x21]                  // errno back
    b 6f
5:  str w22, [x21]
    add x9, x23, #0xa4
    stlr w10, [x9]
6:  mov sp, x20
    system 139                      // rt_sigreturn: back to where the thread was
.balign 16

// start routine of the new thread; x0 = context
.globl thread_main
thread_main:
    hint #34                        // bti c
    stp x29, x30, [sp, #-64]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    mov x19, x0
    add x20, x19, #0x08             // go
    stage 1                         // started
    call 0x10                       // pthread_self
    call 0x18                       // pthread_detach
2:  ldar w9, [x20]
    cmp w9, #1                      // go?
    b.eq 3f
    ldr w9, [x19, #0x0c]
    subs w9, w9, #1
    str w9, [x19, #0x0c]
    b.mi 9f
    add x0, x19, #0x90
    mov x1, xzr
    system 101                      // nanosleep
    b 2b
3:  call 0x20                       // Py_IsInitialized
    cbz w0, 8f
    stage 2                         // waiting for the interpreter lock
    call 0x28                       // PyGILState_Ensure
    mov w21, w0
    mov w24, #8
    stage 3                         // before the exchange: whoever reads 2 after writing 0 knows that nothing will run
    dmb ish
    mov w10, #3
1:  ldaxr w9, [x20]
    cmp w9, #1
    b.ne 7f                         // taken back
    stlxr w11, w10, [x20]
    cbnz w11, 1b
    dmb ish
    mov w24, #4
    mov w9, #2
    str w9, [x19, #0x04]
    mov x23, xzr
    call 0x38                       // PyDict_New
    mov x22, x0
    cbz x0, 5f
    call 0x40                       // PyEval_GetBuiltins
    mov x2, x0
    mov x0, x22
    add x1, x19, #0xb0
    call 0x48                       // PyDict_SetItemString
    cbnz w0, 5f
    ldr x0, [x19, #0x80]
    mov w1, #258                    // Py_eval_input
    mov x2, x22
    mov x3, x22
    mov x4, xzr
    call 0x50                       // PyRun_StringFlags
    mov x23, x0
    cbz x0, 5f
    call 0x58                       // PyBytes_Size
    cbz x0, 4f                      // nothing to tell: all is well
    cmp x0, #0x400
    b.ne 5f
    mov x0, x23
    call 0x60                       // PyBytes_AsString
    add x9, x19, #0x100
    add x10, x19, #0x500
1:  ldp x11, x12, [x0], #16
    stp x11, x12, [x9], #16
    cmp x9, x10
    b.ne 1b
    mov w9, #1
    str w9, [x19, #0x04]
    b 6f
4:  str wzr, [x19, #0x04]
    b 6f
5:  call 0x68                       // PyErr_Clear
6:  mov x0, x23
    call 0x70                       // Py_DecRef
    mov x0, x22
    call 0x70                       // Py_DecRef
7:  stlr w24, [x19]                 // script finished, or taken back
    mov w0, w21
    call 0x30                       // PyGILState_Release
    cmp w24, #8
    b.eq 4f
    stage 5
    ldr w9, [x19, #0x04]
    cbz w9, 5f                      // nothing to report: go without waiting
    b 4f
8:  stage 6                         // not initialised
    b 4f
9:  stage 7                         // go never came: nobody is there to read it
    b 5f
4:  mov w9, #25000                  // the report is to be read: 5 s
    str w9, [x19, #0x0c]
6:  ldar w9, [x20]
    cmp w9, #2
    b.eq 5f
    ldr w9, [x19, #0x0c]
    subs w9, w9, #1
    str w9, [x19, #0x0c]
    b.mi 5f
    add x0, x19, #0x90
    mov x1, xzr
    system 101                      // nanosleep
    b 6b
5:  mov x0, x19                     // drop the context
    ldr x1, [x19, #0x88]
    system 215                      // munmap
    mov x0, xzr
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #64
    ret
.globl stub_end
stub_end:
