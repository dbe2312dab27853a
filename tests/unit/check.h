/* Unit tests of the rooms: plain programs, no preload, one line for each test.
 *
 *     int main(void) {
 *         TEST("L4: touching ranges of one type become one") {
 *             CHECK(range_merge(&a, &b));
 *             CHECK_EQ(a.len, 20);
 *         }
 *         return check_done();
 *     }
 *
 * A test prints `ok - NAME` or `not ok - NAME`, after one `# file:line: what` for each check that
 * failed. A failed check does not end the test; `if (!CHECK(p)) break;` does, outside inner loops.
 * SKIP(reason) says that what follows cannot be tried here: `if (absent) { SKIP("no /proc"); break;
 * }` Checks may run in several threads at once. In a forked child end with _exit(check_failures()
 * != 0). CHECK_ONLY=WORD in the environment runs the tests whose names contain WORD.
 */
#ifndef RACESHIM_TESTS_CHECK_H
#define RACESHIM_TESTS_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_MAY_BE_UNUSED __attribute__((unused))

static const char *check_name;        /* the test that is running, NULL before the first */
static const char *check_skip_reason; /* set by SKIP */
static atomic_int check_failed_here;  /* checks that failed in it */
static int check_count, check_count_failed;

CHECK_MAY_BE_UNUSED static int check_failures(void) {
    return atomic_load(&check_failed_here);
}

static void check_finish(void) {
    if (!check_name)
        return;
    int failed = check_failures();
    check_count++;
    check_count_failed += failed != 0;
    printf("%s - %s", failed ? "not ok" : "ok", check_name);
    if (check_skip_reason)
        printf(" # SKIP %s", check_skip_reason);
    putchar('\n');
    fflush(stdout);
    check_name = NULL;
}

/* True if the test is to run. The line of the test before is printed here, so that `break` may
 * leave a test early. */
static bool check_begin(const char *name) {
    check_finish();
    const char *only = getenv("CHECK_ONLY");
    if (only && !strstr(name, only))
        return false;
    check_name = name;
    check_skip_reason = NULL;
    atomic_store(&check_failed_here, 0);
    return true;
}

CHECK_MAY_BE_UNUSED static bool check_true(bool passed, const char *file, int line,
                                           const char *what) {
    if (!passed) {
        atomic_fetch_add(&check_failed_here, 1);
        printf("# %s:%d: %s\n", file, line, what);
        fflush(stdout);
    }
    return passed;
}

CHECK_MAY_BE_UNUSED static bool check_equal(long long got, long long wanted, const char *file,
                                            int line, const char *what) {
    char text[512];
    snprintf(text, sizeof text, "%s: got %lld, wanted %lld", what, got, wanted);
    return check_true(got == wanted, file, line, text);
}

CHECK_MAY_BE_UNUSED static bool check_same_text(const char *got, const char *wanted,
                                                const char *file, int line, const char *what) {
    char text[2048];
    bool same = got && wanted ? strcmp(got, wanted) == 0 : got == wanted;
    if (!same)
        snprintf(text, sizeof text, "%s:\n#   got    %s\n#   wanted %s", what, got ? got : "(null)",
                 wanted ? wanted : "(null)");
    return check_true(same, file, line, same ? "" : text);
}

/* The exit status of the program. */
CHECK_MAY_BE_UNUSED static int check_done(void) {
    check_finish();
    printf("# %d tests, %d failed\n", check_count, check_count_failed);
    return check_count_failed || fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

#define TEST(name) for (bool check_once = check_begin(name); check_once; check_once = false)
#define CHECK(condition) check_true((condition), __FILE__, __LINE__, #condition)
#define CHECK_EQ(got, wanted) check_equal((got), (wanted), __FILE__, __LINE__, #got)
#define CHECK_STR(got, wanted) check_same_text((got), (wanted), __FILE__, __LINE__, #got)
#define SKIP(reason) (check_skip_reason = (reason))

#endif
