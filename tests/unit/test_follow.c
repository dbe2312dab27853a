/* What is hidden at load, each case in a process of its own, since it happens once in one. */
#include "check.h"
#include "env/follow.h"

#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSED "RACESHIM_HANDOVER"

static char *left[64];

/* Hides in a copy of `given`, followed by what the kernel has there. */
static const char *hide(char **given) {
    size_t count = 0;
    for (; given[count]; count++)
        left[count] = given[count];
    left[count] = NULL;
    left[count + 1] = (char *)(uintptr_t)AT_PAGESZ;
    return follow_begin(left, PASSED);
}

static const char *joined(void) {
    static char text[1024];
    text[0] = '\0';
    for (size_t i = 0; left[i]; i++)
        sprintf(text + strlen(text), "%s%s", i ? " " : "", left[i]);
    return text;
}

#define ENV(...) ((char *[]){__VA_ARGS__, NULL})

#define ALONE(body)                                                                                \
    do {                                                                                           \
        fflush(stdout);                                                                            \
        pid_t pid = fork();                                                                        \
        int status = -1;                                                                           \
        if (pid == 0) {                                                                            \
            body;                                                                                  \
            fflush(stdout);                                                                        \
            _exit(check_failures != 0);                                                            \
        }                                                                                          \
        waitpid(pid, &status, 0);                                                                  \
        CHECK_EQ(status, 0);                                                                       \
    } while (0)

static void hides(char **given, const char *wanted, const char *preload, const char *settings) {
    hide(given);
    CHECK_STR(joined(), wanted);
    CHECK_STR(follow_settings.preload ? follow_settings.preload : "none", preload);
    CHECK_STR(follow_settings.settings ? follow_settings.settings : "none", settings);
}

TEST("E6: our two settings are hidden, order and the other entries are left alone") {
    ALONE(hides(ENV("A=1", "RACESHIM=w x", "B=2", "LD_PRELOAD=/l/libraceshim.so", "odd", "=c"),
                "A=1 B=2 odd =c", "LD_PRELOAD=/l/libraceshim.so", "RACESHIM=w x"));
    ALONE(hides(ENV("A=1"), "A=1", "none", "none"));
    ALONE(hides(ENV("RACESHIM="), "", "none", "RACESHIM="));
    ALONE(hides(ENV("RACESHIMS=1", "RACESHI=2", "LD_PRELOADS=libraceshim.so", "RACESHIM"),
                "RACESHIMS=1 RACESHI=2 LD_PRELOADS=libraceshim.so RACESHIM", "none", "none"));
}

TEST("E6: of a list in LD_PRELOAD the others stay, with their separators") {
    static const char *const cases[][3] = {
        {"a:/l/libraceshim.so", "a", "/l/libraceshim.so"},
        {"/l/libraceshim.so:a", "a", "/l/libraceshim.so"},
        {"a b:/l/libraceshim.so c:d", "a b c:d", "/l/libraceshim.so"},
        {"/x/$LIB/libraceshim.so a", "a", "/x/$LIB/libraceshim.so"},
        {":libraceshim.so", "", "libraceshim.so"},
        {"a::/l/libraceshim.so", "a:", "/l/libraceshim.so"},
        {"/l/libraceshim.so:a:/m/libraceshim.so", "a", "/l/libraceshim.so"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char given[128], wanted[128], ours[128];
        sprintf(given, "LD_PRELOAD=%s", cases[i][0]);
        sprintf(wanted, "LD_PRELOAD=%s", cases[i][1]);
        sprintf(ours, "LD_PRELOAD=%s", cases[i][2]);
        ALONE(hides(ENV(given), wanted, ours, "none"));
        CHECK_STR(given + sizeof "LD_PRELOAD", cases[i][0]); /* the string is the kernel's */
    }
    ALONE(hides(ENV("LD_PRELOAD=/l/libraceshim.so.1:/l/notlibraceshim.so"),
                "LD_PRELOAD=/l/libraceshim.so.1:/l/notlibraceshim.so", "none", "none"));
}

TEST("E6: what is handed over is hidden, told, and not put back") {
    ALONE({
        CHECK_STR(hide(ENV("A=1", PASSED "=7", "B=2")), "7");
        CHECK_STR(joined(), "A=1 B=2");
        CHECK(!follow_settings.preload && !follow_settings.settings);
    });
    ALONE(CHECK(hide(ENV("A=1")) == NULL));
    ALONE(CHECK(follow_begin(NULL, PASSED) == NULL));
}

TEST("E6: two slots that become free are an entry of the auxiliary vector to be ignored, an odd "
     "one ends it") {
    ALONE({
        hide(ENV("A=1", "RACESHIM=w", "LD_PRELOAD=/l/libraceshim.so"));
        CHECK(left[1] == NULL);
        CHECK_EQ((intptr_t)left[2], AT_IGNORE);
        CHECK_EQ((intptr_t)left[3], 0);
        CHECK_EQ((intptr_t)left[4], AT_PAGESZ);
    });
    ALONE({
        hide(ENV("A=1", "RACESHIM=w"));
        CHECK(left[1] == NULL && left[2] == NULL);
        CHECK_EQ((intptr_t)left[3], AT_PAGESZ);
    });
}

TEST("E6: what is too long for our memory stays where it is, and is understood") {
    ALONE({
        static char text[1 << 17] = "RACESHIM=";
        memset(text + strlen(text), 'x', sizeof text - 1 - strlen(text));
        hide(ENV("A=1", text));
        CHECK(left[1] == text && !follow_settings.settings);
        CHECK(follow_words() == text + strlen("RACESHIM="));
    });
    ALONE({
        static char text[1 << 17] = "LD_PRELOAD=/l/libraceshim.so:";
        memset(text + strlen(text), 'x', sizeof text - 1 - strlen(text));
        hide(ENV("A=1", text));
        CHECK(left[1] == text);
    });
}

TEST("E8: without no-follow every environment is followed into") {
    ALONE({
        char *none[] = {NULL};
        hide(ENV("A=1"));
        CHECK(follow_into(none));
    });
}

TEST("E8: with no-follow an environment that has half of the names is followed into") {
    ALONE({
        char *none[] = {NULL};
        follow_remember(ENV("A=1", "B=2", "C=3", "D=4"));
        CHECK(follow_into(ENV("A=other", "D=")));
        CHECK(follow_into(ENV("X=1", "B=2", "Y=1", "C=3", "Z=1")));
        CHECK(!follow_into(ENV("A=1", "A=2", "A=3")));
        CHECK(!follow_into(ENV("AA=1", "BB=2", "CC=3")));
        CHECK(!follow_into(none));
    });
}
