/* A program that is started: prints its name and its environment, an entry a line, in order. */
#include <stdio.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("argv0=%s argc=%d\n", argv[0], argc);
    for (int i = 1; i < argc; i++)
        printf("argv%d=%s\n", i, argv[i]);
    for (char **entry = environ; *entry; entry++)
        printf("  %s\n", *entry);
    return 0;
}
