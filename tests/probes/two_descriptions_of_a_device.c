/* Locks /dev/null through two descriptions and closes the second.
 *
 * The file cannot be repaired, so its locks are POSIX's: one owner, and the close drops all.
 */
#include "outsider.h"

int main(void) {
    /* Bytes that nobody else locks. */
    off_t start = 100000000 + getpid() * 100L;
    int first = open("/dev/null", O_RDWR), second = open("/dev/null", O_RDWR);
    must(first != -1 && second != -1, "/dev/null");
    fact("first", "%s", error_name(try_lock(first, start, LENGTH)));
    fact("second", "%s", error_name(try_lock(second, start, LENGTH)));
    fact_outsider_at("locked", first, start, LENGTH);
    fact("close", "%d", close(second));
    fact_outsider_at("closed", first, start, LENGTH);
    return 0;
}
