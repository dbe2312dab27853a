/* The unit tests' harness: one file of tests is one program.
 *
 *     TEST("L4: a lock of no length reaches to the end") {
 *         CHECK(...);
 *         CHECK_EQ(got, wanted);
 *     }
 *
 * Each test prints "ok - name" or "not ok - name" after its failed checks; the exit status is 1 if
 * any failed. An argument runs only the tests whose names contain it. A check that fails does not
 * end its test. The program's main is here.
 */
#ifndef RACESHIM_CHECK_H
#define RACESHIM_CHECK_H

#include <stdio.h>
#include <string.h>

#define CHECK_TESTS_MAX 256
static struct {
    const char *name;
    void (*run)(void);
} check_tests[CHECK_TESTS_MAX];
static int check_test_count;
static int check_failures; /* of the test that runs */

#define CHECK_JOIN_(a, b) a##b
#define CHECK_JOIN(a, b) CHECK_JOIN_(a, b)

#define TEST(test_name) TEST_(test_name, __COUNTER__)
#define TEST_(test_name, number)                                                                   \
    static void CHECK_JOIN(check_test_, number)(void);                                             \
    __attribute__((constructor)) static void CHECK_JOIN(check_register_, number)(void) {           \
        check_tests[check_test_count].name = test_name;                                            \
        check_tests[check_test_count++].run = CHECK_JOIN(check_test_, number);                     \
    }                                                                                              \
    static void CHECK_JOIN(check_test_, number)(void)

#define CHECK_FAILED(...)                                                                          \
    do {                                                                                           \
        check_failures++;                                                                          \
        printf("# %s:%d: ", __FILE__, __LINE__);                                                   \
        printf(__VA_ARGS__);                                                                       \
        putchar('\n');                                                                             \
    } while (0)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            CHECK_FAILED("%s", #condition);                                                        \
    } while (0)

#define CHECK_EQ(got, wanted)                                                                      \
    do {                                                                                           \
        long long check_got = (long long)(got);                                                    \
        long long check_wanted = (long long)(wanted);                                              \
        if (check_got != check_wanted)                                                             \
            CHECK_FAILED("%s is %lld, not %lld", #got, check_got, check_wanted);                   \
    } while (0)

#define CHECK_STR(got, wanted)                                                                     \
    do {                                                                                           \
        const char *check_got = (got);                                                             \
        const char *check_wanted = (wanted);                                                       \
        if (strcmp(check_got, check_wanted) != 0)                                                  \
            CHECK_FAILED("%s is \"%s\", not \"%s\"", #got, check_got, check_wanted);               \
    } while (0)

int main(int argc, char **argv) {
    int failed = 0;
    for (int i = 0; i < check_test_count; i++) {
        if (argc > 1 && strstr(check_tests[i].name, argv[1]) == NULL)
            continue;
        check_failures = 0;
        check_tests[i].run();
        printf("%s - %s\n", check_failures ? "not ok" : "ok", check_tests[i].name);
        fflush(stdout);
        failed += check_failures != 0;
    }
    return failed != 0;
}

#endif
