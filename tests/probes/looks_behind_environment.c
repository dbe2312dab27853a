/* Finds the auxiliary vector where the kernel puts it, behind the end of the environment, as Go's runtime does. Every
 * entry that it finds must be one that getauxval has. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <sys/auxv.h>

extern char **environ;

int main(void) {
    char **end = environ;
    int found = 0, wrong = 0;
    while (*end)
        end++;
    for (const Elf64_auxv_t *a = (const Elf64_auxv_t *)(end + 1); a->a_type != AT_NULL; a++) {
        if (a->a_type == AT_IGNORE)
            continue;
        errno = 0;
        unsigned long value = getauxval(a->a_type);
        found++;
        wrong += errno != 0 || value != a->a_un.a_val;
    }
    printf("found=%s\nwrong=%d\n", found ? "some" : "none", wrong);
    return 0;
}
