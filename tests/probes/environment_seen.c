/* Everything that a program with one thread can see of its environment: what the calls return, what is in the array, in
 * which order, and whose strings these are.
 *
 *   environment_seen
 *
 * A line for each step: its name, what it returned, errno, whose array `environ` is, and the entries. A string is marked
 * by whose it is: =N is that of the N-th entry at the start, pN a string of the program's, and none libc's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENTRIES 512
#define STRINGS 8

static char **first_array;
static char *first[ENTRIES];
static char strings[STRINGS][64];
static char *mine[ENTRIES];

static void show_owner(const char *entry) {
    for (int i = 0; i < ENTRIES && first[i]; i++)
        if (entry == first[i])
            printf("=%d", i);
    for (int i = 0; i < STRINGS; i++)
        if (entry == strings[i])
            printf("p%d", i);
}

static const char *whose(char **array) {
    return array == NULL          ? "nobody's"
           : array == first_array ? "first"
           : array == mine        ? "mine"
                                  : "other";
}

static void show(const char *step, int result) {
    printf("%s: %d errno=%d array=%s", step, result, result ? errno : 0, whose(environ));
    for (char **entry = environ; entry && *entry; entry++) {
        printf(" [");
        show_owner(*entry);
        printf(" %s]", *entry);
    }
    putchar('\n');
    errno = 0;
}

static void get(const char *name) {
    const char *value = getenv(name), *other = secure_getenv(name);
    printf("get %s: %s %s\n", name, value ? value : "-", other == value ? "same" : "other");
}

static const char *volatile no_value;

static void bad_names(void) {
    show("set nothing", setenv("", "x", 1));
    show("set with =", setenv("A=B", "x", 1));
    show("set NULL", setenv(no_value, "x", 1));
    show("unset nothing", unsetenv(""));
    show("unset with =", unsetenv("A=B"));
    show("unset NULL", unsetenv(no_value));
    errno = 0;
    printf("put nothing: %d", putenv(strcpy(strings[0], "")));
    printf(" errno=%d\n", errno);
    get("");
    get("=");
    get("NO_SUCH_NAME");
}

static void in_child(const char *step, void (*call)(void)) {
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        call();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    printf("%s: signal %d\n", step, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void set_no_value(void) {
    setenv("NO_VALUE", no_value, 1);
}

static void keep_no_value(void) {
    setenv("FIRST", no_value, 0);
}

static void put_no_string(void) {
    putenv((char *)no_value);
}

static void sets(void) {
    show("overwrite", setenv("FIRST", "changed", 1));
    show("keep", setenv("FIRST", "not this", 0));
    show("new", setenv("NEW", "1", 1));
    show("another", setenv("NEWER", "", 1));
    show("kept new", setenv("NEWEST", "x=y", 0));
    char *one = getenv("NEW");
    setenv("NEW", "2", 1);
    char *two = getenv("NEW");
    setenv("NEW", "1", 1);
    printf("again: %d %d\n", getenv("NEW") == one, one == two);
    strcpy(one, "3");
    get("NEW");
    setenv("NEW", "1", 1);
    printf("after an edit: %d\n", getenv("NEW") == one);
    get("NEW");
    errno = 77;
    setenv("NEW", "4", 1);
    unsetenv("NEWER");
    getenv("NEW");
    getenv("NO_SUCH_NAME");
    printf("errno stays: %d\n", errno);
    show("afterwards", 0);
}

static void puts_strings(void) {
    show("put", putenv(strcpy(strings[1], "PUT=1")));
    strcpy(strings[1], "PUT=edited");
    get("PUT");
    strcpy(strings[1], "GUT=renamed");
    get("PUT");
    get("GUT");
    show("put again", putenv(strcpy(strings[2], "GUT=2")));
    show("set what was put", setenv("GUT", "set", 1));
    show("put over it", putenv(strings[2]));
    show("put nameless", putenv(strcpy(strings[3], "=nameless")));
    show("put nameless again", putenv(strcpy(strings[4], "=again")));
    show("put two =", putenv(strcpy(strings[5], "TWO=a=b")));
    get("TWO=a");
    get("TWO");
    get("TW");
    show("put without =", putenv(strcpy(strings[6], "GUT")));
    show("put first again", putenv(strcpy(strings[7], "FIRST=put")));
    show("remove", unsetenv("TWO"));
    show("remove what is not there", unsetenv("TWO"));
}

static void edits(void) {
    static char direct[] = "DIRECT=1", no_equals[] = "NOTHING", empty[] = "\0";
    environ[1] = direct;
    get("DIRECT");
    show("assigned", setenv("DIRECT", "2", 0));
    environ[2] = no_equals;
    get("NOTHING");
    show("removes nothing", unsetenv("NOTHING"));
    show("a second", setenv("NOTHING", "something", 1));
    environ[3] = empty;
    show("empty", setenv("EMPTY", "is no name", 1));
    environ[4] = environ[0];
    environ[5] = direct;
    get("DIRECT");
    show("twice", setenv("DIRECT", "first one only", 1));
    char **before = environ, *third = environ[3];
    show("remove both", unsetenv("DIRECT"));
    printf("in place: %d %d\n", environ == before, environ[2] == third);
}

static void own_array(void) {
    int count = 0;
    for (; environ[count]; count++)
        mine[count] = environ[count];
    environ = mine;
    show("mine", setenv("FIRST", "in mine", 1));
    show("remove in mine", unsetenv("NEW"));
    show("new in mine", setenv("ADDED", "1", 1));
    printf("mine is as it was: %d %d\n", strcmp(mine[0], environ[0]), mine[count - 1] == NULL);
    environ = mine;
    show("back", setenv("AGAIN", "1", 1));
    environ = NULL;
    get("FIRST");
    show("remove from none", unsetenv("FIRST"));
    show("none", setenv("ONLY", "1", 1));
    show("second", setenv("SECOND", "2", 1));
    show("clear", clearenv());
    get("ONLY");
    show("clear again", clearenv());
    show("put into none", putenv(strcpy(strings[1], "PUT=1")));
    char *none[] = {NULL};
    environ = none;
    show("empty array", setenv("ONLY", "again", 1));
}

static void loops(void) {
    char name[32];
    environ = NULL;
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "LOOP%d", i);
        setenv(name, "x", 1);
    }
    char **entry = environ;
    int steps = 0;
    for (; *entry && steps < 100; steps++) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*entry, "="), *entry);
        unsetenv(name);
    }
    printf("steps: %d\n", steps);
    show("all removed", 0);
}

/* Asked for so often that whatever is remembered of them is. */
static void many(void) {
    char name[32];
    int wrong = 0;
    static char put[] = "PUT_AMONG_MANY=1";
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof name, "%c%cMANY%d", 'A' + i % 26, 'A' + i % 7, i);
        setenv(name, "many", 1);
    }
    putenv(put);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "%c%cMANY%d", 'A' + i % 150 % 26, 'A' + i % 150 % 7, i % 150);
        const char *value = getenv(name);
        wrong += !value || strcmp(value, "many") != 0;
    }
    printf("wrong: %d\n", wrong);
    get("NO_SUCH_NAME");
    memcpy(put, "BUT", 3);
    get("PUT_AMONG_MANY");
    get("BUT_AMONG_MANY");
    environ[100] = put;
    environ[120] = (char *)"NO_SUCH_NAME=is there now";
    get("NO_SUCH_NAME");
    strcpy(strchr(environ[50], '=') + 1, "far");
    get("YBMANY50");
    environ[90] = environ[110];
    get("GFMANY110");
    unsetenv("GFMANY110");
    get("GFMANY110");
    environ[130] = NULL;
    get("KFMANY140");
    show("many", 0);
}

/* As programs do that write their title over what the kernel gave them. */
static void clobber(void) {
    char *begin = first[0], *end = begin;
    for (int i = 0; first[i] == end; i++)
        end += strlen(end) + 1;
    environ = first_array;
    for (int i = 0; first[i]; i++)
        first_array[i] = first[i];
    size_t size = (size_t)(end - begin);
    memset(begin, 'X', size);
    begin[size - 1] = '\0';
    get("FIRST");
    get("PATH");
    memcpy(begin, "PATH=clobbered", 15);
    get("PATH");
    printf("set: %d\n", setenv("PATH", "after it", 1));
    get("PATH");
    printf("first: %s\n", environ[0]);
    printf("removed: %d\n", unsetenv("PATH"));
    get("PATH");
}

int main(int argc, char **argv) {
    (void)argc;
    if (!getenv("FIRST")) {
        char *given[] = {(char *)"FIRST=1",   (char *)"SECOND=2",
                         (char *)"TZ=UTC",    (char *)"PATH=/bin:/usr/bin",
                         (char *)"LAST=last", NULL};
        execve("/proc/self/exe", argv, given);
        return 1;
    }
    first_array = environ;
    for (int i = 0; environ[i] && i < ENTRIES - 1; i++)
        first[i] = environ[i];
    show("start", 0);
    bad_names();
    in_child("set no value", set_no_value);
    in_child("keep no value", keep_no_value);
    in_child("put no string", put_no_string);
    sets();
    puts_strings();
    edits();
    in_child("own array", own_array);
    in_child("loops", loops);
    in_child("many", many);
    in_child("clobber", clobber);
    own_array();
    loops();
    many();
    return 0;
}
