/* Two descriptions hold ten bytes each; the second is closed.
 *
 *   closing_one_of_two_holders HOW FILE
 */
#include "ways_to_close.h"

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const char *path = argv[2];
    int first = open_file(path);
    struct closing second = prepare_closing(argv[1], open_file(path));
    must(try_lock(first, FIRST, LENGTH) == 0, "the first lock");
    must(try_lock(second.fd, FIRST + LENGTH, LENGTH) == 0, "the second lock");
    fact_witness_at("first_before", path, FIRST, LENGTH);
    fact_witness_at("second_before", path, FIRST + LENGTH, LENGTH);
    finish_closing(&second);
    fact_witness_at("first_after", path, FIRST, LENGTH);
    fact_witness_at("second_after", path, FIRST + LENGTH, LENGTH);
    return 0;
}
