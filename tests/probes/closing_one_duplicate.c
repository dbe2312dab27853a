/* A description that holds a lock has two descriptors; they are closed one after the other.
 *
 *   closing_one_duplicate first|copy HOW FILE
 */
#include "ways_to_close.h"

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    const char *path = argv[3];
    int first = open_file(path), copy = dup(first);
    int copy_goes_first = strcmp(argv[1], "copy") == 0;
    struct closing early = prepare_closing(argv[2], copy_goes_first ? copy : first);
    struct closing late = prepare_closing("close", copy_goes_first ? first : copy);
    must(try_lock(late.fd, FIRST, LENGTH) == 0, "the lock");
    finish_closing(&early);
    fact_witness("one_closed", path);
    finish_closing(&late);
    fact_witness("both_closed", path);
    return 0;
}
