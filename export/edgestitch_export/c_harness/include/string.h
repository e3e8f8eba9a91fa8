/* For compilers that come without a C library: what a generated file may use of <string.h>. */
#ifndef EDGESTITCH_STRING_H
#define EDGESTITCH_STRING_H
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
#endif
