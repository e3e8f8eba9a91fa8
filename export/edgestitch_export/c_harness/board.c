/* The harness: start-up, semihosting, and a model called on images, on an emulated Cortex-M.
 *
 * Reads images.bin, images one after another, and writes answers.bin: for each image the class
 * (int32), the ticks of SysTick that the call took (uint32), the bytes of stack it is known to have
 * written to (uint32), then the scores. With HARNESS_SELFTEST it calls the self-test instead and
 * writes its answer (int32). HARNESS_ names the model's functions and sizes.
 *
 * Semihosting as in Arm's "Semihosting for AArch32 and AArch64": operation in r0, block in r1.
 */
#include <stdint.h>

int HARNESS_SELFTEST_CALL(void);

enum {
  SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT = 0x18,
  READ_BINARY = 1, WRITE_BINARY = 5, FINISHED = 0x20026, FAULT = 0x20024,
  PAINT = 0x5AC3695A
};
#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)

extern uint32_t harness_stack_end[], harness_stack_top[];
void reset(void);
void harness_run(void);
void harness_fault(void);
int harness_call(const uint8_t *pixels, int8_t *scores);
extern uint32_t harness_stack_pointer;
uint32_t harness_stack_pointer;

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    harness_stack_top, (const void *)reset, (const void *)harness_fault, (const void *)harness_fault,
    (const void *)harness_fault, (const void *)harness_fault, (const void *)harness_fault,
    (const void *)harness_fault};

/* reset sets CPACR's coprocessors 10 and 11 before any floating-point or vector instruction.
 * harness_call calls the model with the arguments it has itself: what is counted lies between the
 * model's first instruction and harness_returned. */
__asm(
    ".syntax unified\n .section .text.harness, \"ax\", %progbits\n .thumb\n .align 2\n"
    ".global reset\n .type reset, %function\n .thumb_func\n reset:\n"
    "ldr r0, =0xE000ED88\n ldr r1, [r0]\n movs r2, #15\n lsls r2, r2, #20\n orrs r1, r2\n"
    "str r1, [r0]\n dsb\n isb\n bl harness_run\n 1: b 1b\n"
    ".global harness_call\n .type harness_call, %function\n .thumb_func\n harness_call:\n"
    "push {r4, lr}\n ldr r2, =harness_stack_pointer\n mov r3, sp\n str r3, [r2]\n"
    "bl " HARNESS_NAME "\n"
    ".global harness_returned\n .thumb_func\n harness_returned:\n"
    "pop {r4, pc}\n .align 2\n .ltorg\n .text\n");

static int32_t semihost(int32_t operation, const void *block) {
  register int32_t r0 __asm("r0") = operation;
  register const void *r1 __asm("r1") = block;
  __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static int32_t open_file(const char *name, int32_t mode) {
  uint32_t bytes = 0;
  while (name[bytes]) bytes++;
  const uint32_t block[3] = {(uint32_t)(uintptr_t)name, (uint32_t)mode, bytes};
  return semihost(SYS_OPEN, block);
}

/* QEMU ends with 0 where the reason is FINISHED, else with 1. */
static void stop(uintptr_t reason) {
  semihost(SYS_EXIT, (const void *)reason);
  for (;;) {
  }
}

void harness_fault(void) { stop(FAULT); }

/* True when all `bytes` were read. */
static int read_all(int32_t file, void *to, uint32_t bytes) {
  const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)to, bytes};
  return semihost(SYS_READ, block) == 0;
}

static void write_all(int32_t file, const void *from, uint32_t bytes) {
  const uint32_t block[3] = {(uint32_t)file, (uint32_t)(uintptr_t)from, bytes};
  if (semihost(SYS_WRITE, block) != 0) stop(FAULT);
}

static void close_file(int32_t file) {
  const uint32_t block[1] = {(uint32_t)file};
  semihost(SYS_CLOSE, block);
}

#ifdef HARNESS_SELFTEST
void harness_run(void) {
  const int32_t answers = open_file("answers.bin", WRITE_BINARY);
  const int32_t differing = HARNESS_SELFTEST_CALL();
  write_all(answers, &differing, 4);
  close_file(answers);
  stop(FINISHED);
}
#else
static uint8_t pixels[HARNESS_PIXELS];
static struct {
  int32_t class_index;
  uint32_t ticks, stack_bytes;
  int8_t scores[HARNESS_CLASSES];
} answer;

/* Both are inlined: between them nothing but the model writes below harness_run's frame. */
__attribute__((always_inline)) static inline void paint(void) {
  volatile uint32_t *at = harness_stack_end;
  uint32_t *here;
  __asm volatile("mov %0, sp" : "=r"(here));
  while (at < here) *at++ = PAINT;
}

__attribute__((always_inline)) static inline uint32_t painted_over(void) {
  const volatile uint32_t *at = harness_stack_end;
  while (*at == PAINT) at++;
  return harness_stack_pointer - (uint32_t)(uintptr_t)at;
}

void harness_run(void) {
  const int32_t images = open_file("images.bin", READ_BINARY);
  const int32_t answers = open_file("answers.bin", WRITE_BINARY);
  SYST_RVR = 0xFFFFFFu;
  SYST_CSR = 5; /* the processor's clock, no interrupt */
  while (read_all(images, pixels, HARNESS_PIXELS)) {
    paint();
    SYST_CVR = 0;
    const uint32_t before = SYST_CVR;
    answer.class_index = harness_call(pixels, answer.scores);
    answer.ticks = (before - SYST_CVR) & 0xFFFFFFu;
    answer.stack_bytes = painted_over();
    write_all(answers, &answer, 12 + HARNESS_CLASSES);
  }
  close_file(answers);
  stop(FINISHED);
}
#endif
