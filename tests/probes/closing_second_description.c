/* One description holds a lock; another one of the same file, which never locked, is closed.
 *
 *   closing_second_description HOW FILE
 */
#include "ways_to_close.h"

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int first = open_file(argv[2]);
    struct closing second = prepare_closing(argv[1], open_file(argv[2]));
    must(try_lock(first, FIRST, LENGTH) == 0, "the lock");
    fact("first_fd", "%d", first);
    fact("second_fd", "%d", second.fd);
    fact_witness("before", argv[2]);
    finish_closing(&second);
    fact_witness("after", argv[2]);
    fact("unlock", "%s", error_name(unlock(first, FIRST, LENGTH)));
    fact_witness("unlocked", argv[2]);
    return 0;
}
