/* A plugin of QEMU (plugin interface 1): how many instructions a call takes.
 *
 * Arguments: begin= and end=, addresses, and out=, a file. Whenever the instruction at `begin` is
 * about to run the count starts anew; when that at `end` is, the count since goes to the file, a
 * line each. The instruction at `begin` is counted, that at `end` is not.
 *
 * QEMU's headers need not be there: what is used of them is declared below, as the interface is
 * documented in QEMU's docs/devel/tcg-plugins.rst.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct tb;
struct insn;
typedef void (*on_translation)(plugin_id, struct tb *);
typedef void (*on_execution)(unsigned vcpu, void *context);
enum { NO_REGISTERS = 0, ADD_U64 = 0 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
extern size_t qemu_plugin_tb_n_insns(const struct tb *);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct insn *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *, on_execution, int, void *);
extern void qemu_plugin_register_vcpu_insn_exec_inline(struct insn *, int, void *, uint64_t);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t begin, end, count, from;
static int started;
static FILE *out;

static void on_begin(unsigned vcpu, void *context) {
  (void)vcpu;
  (void)context;
  from = count;
  started = 1;
}

static void on_end(unsigned vcpu, void *context) {
  (void)vcpu;
  (void)context;
  if (started) fprintf(out, "%llu\n", (unsigned long long)(count - from));
  started = 0;
  fflush(out);
}

static void on_block(plugin_id id, struct tb *block) {
  const size_t n = qemu_plugin_tb_n_insns(block);
  (void)id;
  for (size_t k = 0; k < n; k++) {
    struct insn *one = qemu_plugin_tb_get_insn(block, k);
    const uint64_t where = qemu_plugin_insn_vaddr(one);
    if (where == begin) qemu_plugin_register_vcpu_insn_exec_cb(one, on_begin, NO_REGISTERS, NULL);
    if (where == end) qemu_plugin_register_vcpu_insn_exec_cb(one, on_end, NO_REGISTERS, NULL);
    qemu_plugin_register_vcpu_insn_exec_inline(one, ADD_U64, &count, 1);
  }
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info,
                                                               int argc, char **argv) {
  (void)info;
  for (int k = 0; k < argc; k++) {
    if (!strncmp(argv[k], "begin=", 6)) begin = strtoull(argv[k] + 6, NULL, 0);
    if (!strncmp(argv[k], "end=", 4)) end = strtoull(argv[k] + 4, NULL, 0);
    if (!strncmp(argv[k], "out=", 4)) out = fopen(argv[k] + 4, "w");
  }
  if (!out) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
  return 0;
}
