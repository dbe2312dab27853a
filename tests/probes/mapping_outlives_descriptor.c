/* A mapping that was made through the locked descriptor stays when the descriptor is closed.
 *
 *   mapping_outlives_descriptor HOW FILE
 */
#include "ways_to_close.h"
#include <sys/mman.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int fd = open_file(argv[2]);
    must(ftruncate(fd, 4096) == 0, "ftruncate");
    struct closing c = prepare_closing(argv[1], fd);
    must(try_lock(c.fd, FIRST, LENGTH) == 0, "the lock");
    char *mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, c.fd, 0);
    must(mapping != MAP_FAILED, "mmap");
    fact_witness("before", argv[2]);
    finish_closing(&c);
    fact_witness("after", argv[2]);
    mapping[0] = 1;
    return 0;
}
