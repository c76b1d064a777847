/* A process that is attached to by itself: it goes through the stub as a borrowed thread would, with functions of its
   own in place of Python's, and tells what it was like before, meanwhile and after, a line each.

   Without arguments it tells the addresses of these functions. With a file and a scenario, it does as the file says:
   first `struct request`, then the code, then the data block. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct state {
    uint64_t x[31], sp, place, nzcv, fpcr, fpsr;
    unsigned __int128 v[32];
};

struct request {
    struct state thread;  /* `place` is the entry of the stub, `sp` the data block */
    uint64_t code, code_size, block, block_size, context, mapped, stack;
};

enum { STAGE = 0, OUTCOME = 4, GO = 8, CREATED = 0xa0, MADE = 0xa4, REPORT = 0x100, SCRIPT = 0x500 };

static struct request request;
static const char *scenario;
struct state found;    /* what the thread had when it was back */
uint64_t our_stack;    /* of `cross` */
static volatile int at_lock, lock_is_free;

static int is(const char *name) { return !strcmp(scenario, name); }

static void tell(const char *name, const void *bytes, size_t size) {
    char line[8192], *at = line + sprintf(line, "%s ", name);
    for (size_t i = 0; i < size; i++) at += sprintf(at, "%02x", ((const uint8_t *)bytes)[i]);
    puts(line);
}

static void tell_mask(const char *name) {
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    printf("%s %#lx\n", name, mask);
}

/* Loads all registers and enters the stub; comes back from `landing`, which is where the borrowed thread was. */
void cross(const struct state *thread);
void landing(void);
/* Changes all that a function may change. */
void scribble(void);
/* Calls `start`, and returns how many registers are changed that must not be. */
long keeps(void *(*start)(void *), void *context);
__asm__(
    ".text\n"
    "cross:\n"
    "    sub sp, sp, #176\n"
    "    stp x19, x20, [sp]\n"
    "    stp x21, x22, [sp, #16]\n"
    "    stp x23, x24, [sp, #32]\n"
    "    stp x25, x26, [sp, #48]\n"
    "    stp x27, x28, [sp, #64]\n"
    "    stp x29, x30, [sp, #80]\n"
    "    stp d8, d9, [sp, #96]\n"
    "    stp d10, d11, [sp, #112]\n"
    "    stp d12, d13, [sp, #128]\n"
    "    stp d14, d15, [sp, #144]\n"
    "    mrs x1, fpcr\n"
    "    str x1, [sp, #160]\n"
    "    adrp x1, our_stack\n"
    "    mov x2, sp\n"
    "    str x2, [x1, :lo12:our_stack]\n"
    "    add x1, x0, #288\n"
    "    .irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30\n"
    "    ldr q\\n, [x1, #(16 * \\n)]\n"
    "    .endr\n"
    "    .irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31\n"
    "    ldr q\\n, [x1, #(16 * \\n)]\n"
    "    .endr\n"
    "    ldp x16, x1, [x0, #256]\n"
    "    msr nzcv, x1\n"
    "    ldp x1, x2, [x0, #272]\n"
    "    msr fpcr, x1\n"
    "    msr fpsr, x2\n"
    "    ldp x30, x1, [x0, #240]\n"
    "    mov sp, x1\n"
    "    ldp x2, x3, [x0, #16]\n"
    "    ldp x4, x5, [x0, #32]\n"
    "    ldp x6, x7, [x0, #48]\n"
    "    ldp x8, x9, [x0, #64]\n"
    "    ldp x10, x11, [x0, #80]\n"
    "    ldp x12, x13, [x0, #96]\n"
    "    ldp x14, x15, [x0, #112]\n"
    "    ldp x17, x18, [x0, #136]\n"
    "    ldp x19, x20, [x0, #152]\n"
    "    ldp x21, x22, [x0, #168]\n"
    "    ldp x23, x24, [x0, #184]\n"
    "    ldp x25, x26, [x0, #200]\n"
    "    ldp x27, x28, [x0, #216]\n"
    "    ldr x29, [x0, #232]\n"
    "    ldp x0, x1, [x0]\n"
    "    br x16\n"
    "landing:\n"
    "    stp x0, x1, [sp, #-256]!\n"
    "    adrp x0, found\n"
    "    add x0, x0, :lo12:found\n"
    "    stp x2, x3, [x0, #16]\n"
    "    stp x4, x5, [x0, #32]\n"
    "    stp x6, x7, [x0, #48]\n"
    "    stp x8, x9, [x0, #64]\n"
    "    stp x10, x11, [x0, #80]\n"
    "    stp x12, x13, [x0, #96]\n"
    "    stp x14, x15, [x0, #112]\n"
    "    stp x16, x17, [x0, #128]\n"
    "    stp x18, x19, [x0, #144]\n"
    "    stp x20, x21, [x0, #160]\n"
    "    stp x22, x23, [x0, #176]\n"
    "    stp x24, x25, [x0, #192]\n"
    "    stp x26, x27, [x0, #208]\n"
    "    stp x28, x29, [x0, #224]\n"
    "    add x1, sp, #256\n"
    "    stp x30, x1, [x0, #240]\n"
    "    ldp x1, x2, [sp]\n"
    "    stp x1, x2, [x0]\n"
    "    mrs x1, nzcv\n"
    "    adr x2, landing\n"
    "    stp x2, x1, [x0, #256]\n"
    "    mrs x1, fpcr\n"
    "    mrs x2, fpsr\n"
    "    stp x1, x2, [x0, #272]\n"
    "    add x1, x0, #288\n"
    "    .irp n, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30\n"
    "    str q\\n, [x1, #(16 * \\n)]\n"
    "    .endr\n"
    "    .irp n, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31\n"
    "    str q\\n, [x1, #(16 * \\n)]\n"
    "    .endr\n"
    "    adrp x1, our_stack\n"
    "    ldr x2, [x1, :lo12:our_stack]\n"
    "    mov sp, x2\n"
    "    ldr x1, [sp, #160]\n"
    "    msr fpcr, x1\n"
    "    ldp x19, x20, [sp]\n"
    "    ldp x21, x22, [sp, #16]\n"
    "    ldp x23, x24, [sp, #32]\n"
    "    ldp x25, x26, [sp, #48]\n"
    "    ldp x27, x28, [sp, #64]\n"
    "    ldp x29, x30, [sp, #80]\n"
    "    ldp d8, d9, [sp, #96]\n"
    "    ldp d10, d11, [sp, #112]\n"
    "    ldp d12, d13, [sp, #128]\n"
    "    ldp d14, d15, [sp, #144]\n"
    "    add sp, sp, #176\n"
    "    ret\n"
    "scribble:\n"
    "    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31\n"
    "    movi v\\n\\().16b, #0xee\n"
    "    .endr\n"
    "    .irp n, 8, 9, 10, 11, 12, 13, 14, 15\n"
    "    mov v\\n\\().d[1], x30\n"
    "    .endr\n"
    "    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17\n"
    "    mov x\\n, #0xeeee\n"
    "    .endr\n"
    "    msr fpsr, xzr\n"
    "    cmp xzr, xzr\n"
    "    ret\n"
    "keeps:\n"
    "    stp x29, x30, [sp, #-96]!\n"
    "    stp x19, x20, [sp, #16]\n"
    "    stp x21, x22, [sp, #32]\n"
    "    stp x23, x24, [sp, #48]\n"
    "    stp x25, x26, [sp, #64]\n"
    "    stp x27, x28, [sp, #80]\n"
    "    .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
    "    mov x\\n, #\\n\n"
    "    .endr\n"
    "    mov x9, x0\n"
    "    mov x0, x1\n"
    "    blr x9\n"
    "    mov x0, #0\n"
    "    .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29\n"
    "    cmp x\\n, #\\n\n"
    "    cinc x0, x0, ne\n"
    "    .endr\n"
    "    ldp x19, x20, [sp, #16]\n"
    "    ldp x21, x22, [sp, #32]\n"
    "    ldp x23, x24, [sp, #48]\n"
    "    ldp x25, x26, [sp, #64]\n"
    "    ldp x27, x28, [sp, #80]\n"
    "    ldp x29, x30, [sp], #96\n"
    "    ret\n");

/* -- in place of what the stub calls ------------------------------------------------------------------------------- */

static int *fake_errno_location(void) {
    scribble();
    return __errno_location();
}

static void *(*start_routine)(void *);
static void *started(void *context) {
    printf("changed %ld\n", keeps(start_routine, context));
    return NULL;
}

static int fake_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                               void *context) {
    printf("pthread_create %#lx %p %#lx %#lx\n", (long)thread, attributes, (long)start, (long)context);
    tell("context", context, 256);
    tell_mask("mask_in_stub");
    int failed = is("no thread") || is("no thread unread");
    start_routine = start;
    int result = failed ? EAGAIN : pthread_create(thread, attributes, started, context);
    scribble();
    errno = 99;
    return result;
}

static pthread_t fake_pthread_self(void) { puts("call pthread_self"); return pthread_self(); }
static int fake_pthread_detach(pthread_t thread) {
    printf("call pthread_detach %d\n", thread == pthread_self());
    int result = pthread_detach(thread);
    scribble();
    return result;
}
static int fake_Py_IsInitialized(void) {
    puts("call Py_IsInitialized");
    tell_mask("mask_in_thread");
    return !is("not up");
}
static int fake_PyGILState_Ensure(void) {
    puts("call PyGILState_Ensure");
    at_lock = 1;
    while (!lock_is_free) usleep(200);
    scribble();
    return 0x51;
}
static void fake_PyGILState_Release(int state) { printf("call PyGILState_Release %#x\n", state); }
static char dict, builtins, result;
static void *fake_PyDict_New(void) { puts("call PyDict_New"); return is("no dict") ? NULL : &dict; }
static void *fake_PyEval_GetBuiltins(void) { puts("call PyEval_GetBuiltins"); scribble(); return &builtins; }
static int fake_PyDict_SetItemString(void *in, const char *name, void *value) {
    printf("call PyDict_SetItemString %d %s %d\n", in == &dict, name, value == &builtins);
    scribble();
    return is("no item") ? -1 : 0;
}
static void *fake_PyRun_StringFlags(const char *text, int start, void *globals, void *locals, void *flags) {
    printf("call PyRun_StringFlags %s %d %d %d %p\n", text, start, globals == &dict, locals == &dict, flags);
    scribble();
    return is("raises") ? NULL : &result;
}
static long fake_PyBytes_Size(void *of) {
    printf("call PyBytes_Size %d\n", of == &result);
    return is("report") ? 0x400 : is("odd") ? 5 : 0;
}
static const char *fake_PyBytes_AsString(void *of) {
    static char text[0x402];
    printf("call PyBytes_AsString %d\n", of == &result);
    for (int i = 0; i < 0x400; i++) text[1 + i] = 'a' + i % 23;
    return text + 1;
}
static void fake_PyErr_Clear(void) { puts("call PyErr_Clear"); }
static void fake_Py_DecRef(void *of) {
    printf("call Py_DecRef %s\n", of == &dict ? "dict" : of == &result ? "result" : of ? "?" : "nothing");
    scribble();
}

#define FAKE(name) {#name, (void *)fake_##name}
static const struct { const char *name; void *address; } ADDRESSES[] = {
    {"landing", (void *)landing}, {"__errno_location", (void *)fake_errno_location}, FAKE(pthread_create),
    FAKE(pthread_self), FAKE(pthread_detach), FAKE(Py_IsInitialized), FAKE(PyGILState_Ensure), FAKE(PyGILState_Release),
    FAKE(PyDict_New), FAKE(PyEval_GetBuiltins), FAKE(PyDict_SetItemString), FAKE(PyRun_StringFlags), FAKE(PyBytes_Size),
    FAKE(PyBytes_AsString), FAKE(PyErr_Clear), FAKE(Py_DecRef),
};

/* -- in place of the observer -------------------------------------------------------------------------------------- */

static int pipe_ends[2];

/* A number in the context, or -1 where it is not mapped any more. */
static long peek(int at) {
    uint32_t value;
    if (write(pipe_ends[1], (void *)(request.context + at), 4) != 4) return -1;
    return read(pipe_ends[0], &value, 4) == 4 ? value : -1;
}

static void go(uint32_t value) { __atomic_store_n((uint32_t *)(request.context + GO), value, __ATOMIC_SEQ_CST); }

static int threads(void) {
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    for (struct dirent *each; (each = readdir(folder));) count += each->d_name[0] != '.';
    closedir(folder);
    return count;
}

static void patience(int condition, const char *what) {
    static int tries;
    if (condition) { tries = 0; return; }
    if (++tries > 40000) { printf("waited in vain for %s\n", what); exit(3); }
    usleep(500);
}
#define WAIT(condition) for (int met = 0; !met;) { met = (condition); patience(met, #condition); }

static void *reads_the_failure(void *unused) {
    WAIT(peek(MADE) == 2);
    printf("failure %ld\n", peek(CREATED));
    go(2);
    return unused;
}

static void observe(void) {
    if (peek(MADE) == -1) { puts("not mapped"); return; }
    printf("made %ld %ld\n", peek(CREATED), peek(MADE));
    strcpy((char *)request.context + SCRIPT, "the-script");
    if (is("late")) {
        WAIT(peek(STAGE) == -1);
        return;
    }
    lock_is_free = !is("taken back");
    go(1);
    if (is("taken back")) {
        WAIT(at_lock);
        printf("waiting %ld\n", peek(STAGE));
        go(0);
        lock_is_free = 1;
    }
    long stage;
    WAIT((stage = peek(STAGE)) == -1 || stage >= 5);
    printf("stage %ld\n", stage);
    if (stage == -1) return;
    printf("outcome %ld\n", peek(OUTCOME));
    if (is("report")) tell("report", (void *)(request.context + REPORT), 0x400);
    go(2);
    WAIT(peek(STAGE) == -1);
}

/* -- the thread that is borrowed ----------------------------------------------------------------------------------- */

static void load(const char *name) {
    int file = open(name, O_RDONLY);
    if (read(file, &request, sizeof request) != sizeof request) exit(4);
    uint64_t size = (request.code_size + 0xfff) & ~0xfffUL;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    char *code = mmap((void *)request.code, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (read(file, code, request.code_size) != (long)request.code_size) exit(4);
    mprotect(code, size, PROT_READ | PROT_EXEC);
    __builtin___clear_cache(code, code + size);
    mmap((void *)(request.stack - 0x20000), 0x24000, PROT_READ | PROT_WRITE, flags, -1, 0);
    for (int i = 0; i < 0x4000; i++) ((uint8_t *)request.stack)[i] = i * 7;
    if (read(file, (void *)request.block, request.block_size) != (long)request.block_size) exit(4);
    close(file);
}

int main(int count, char **words) {
    setvbuf(stdout, NULL, _IOLBF, 1 << 16);
    if (count < 3) {
        for (size_t i = 0; i < sizeof ADDRESSES / sizeof *ADDRESSES; i++)
            printf("%s %lu\n", ADDRESSES[i].name, (uint64_t)ADDRESSES[i].address);
        return 0;
    }
    scenario = words[2];
    load(words[1]);
    if (pipe(pipe_ends)) return 4;
    if (is("taken")) mmap((void *)request.context, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int before = threads();
    pthread_t reader;
    if (is("no thread")) pthread_create(&reader, NULL, reads_the_failure, NULL);

    stack_t alternate = {malloc(SIGSTKSZ), 0, SIGSTKSZ}, later;
    sigset_t mask;
    sigaltstack(&alternate, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR1);
    sigaddset(&mask, SIGRTMIN + 3);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    tell_mask("mask_before");
    errno = 77;
    cross(&request.thread);
    printf("errno %d\n", errno);
    tell_mask("mask_after");
    tell("found", &found, sizeof found);
    sigaltstack(NULL, &later);
    int same = later.ss_sp == alternate.ss_sp && later.ss_size == alternate.ss_size && !later.ss_flags;
    printf("alternate_stack_same %d\n", same);
    same = 1;
    for (int i = 0; i < 0x4000; i++) same &= ((uint8_t *)request.stack)[i] == (uint8_t)(i * 7);
    printf("stack_same %d\n", same);
    if (is("taken")) puts(peek(0) == 0 ? "taken and untouched" : "taken and changed");
    else observe();
    if (is("no thread")) pthread_join(reader, NULL);
    WAIT(threads() == before);
    puts("end");
    return 0;
}
