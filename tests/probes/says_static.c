/* Linked statically, so that nothing is preloaded into it. Prints that it ran. */
#include <stdio.h>

int main(void) {
    puts("ran=static");
    return 0;
}
