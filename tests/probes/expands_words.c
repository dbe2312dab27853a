/* Expands words that run commands, assign or fail, with each flag, and prints what comes of it.
 *
 *   expands_words          the list below
 *   expands_words WORDS    these, without flags
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wordexp.h>

static const char *const all[] = {
    "a b 'c d'",
    "$(echo x y)",
    "pre$(echo 'a  b')post \"$(echo 'q  r')\"",
    "`echo \\$0`",
    "$(printf '%s\\n' \"'\" '*' '~' \\\\ '\"' '`' '$X')",
    "\"$(printf '%s\\n' \"'\" '*' '~' \\\\ '\"' '`' '$X')\"",
    "${NEW:=va\"l ue\"} $NEW",
    "${HOME:=no} $(echo ${NEW-unset})",
    "$(exit 3)",
    "$(",
    "`if`",
    "$(if)",
    "$(echo a;) | b",
    "'",
    "$((1+2)) $(echo $((3+4)))",
    "${UNDEFINED}$(echo)",
    "$UNDEFINED $(echo)",
    "\"$(printf 'a\\nb\\n\\n')\"x",
    "$(echo heard >&2)",
    "''$(true)",
    "$(true)",
    "~/$(echo f)",
    "/etc/host*$(echo s)",
    "${UNDEFINED?message} $(echo a)",
    "x$(echo \"${HOME}\" $LD_PRELOAD $RACESHIM)",
    "$(seq 30000 | tail -n 3) $(seq 20000)",
};

static const struct {
    int flags;
    const char *name;
} kinds[] = {{0, "plain"},          {WRDE_UNDEF, "undef"},   {WRDE_SHOWERR, "showerr"},
             {WRDE_NOCMD, "nocmd"}, {WRDE_DOOFFS, "dooffs"}, {WRDE_APPEND, "append"},
             {WRDE_REUSE, "reuse"}};

static void print_words(const char *words, int error, const wordexp_t *result) {
    printf("%s: error=%d count=%zu offs=%zu", words, error, result->we_wordc, result->we_offs);
    size_t count = error ? 0 : result->we_wordc + result->we_offs;
    for (size_t i = 0; i < count && i < 12; i++)
        printf(" [%s]", result->we_wordv[i] ? result->we_wordv[i] : "none");
    printf(" NEW=%s\n", getenv("NEW") ? getenv("NEW") : "unset");
}

static void expand(const char *words, int flags) {
    wordexp_t result = {0};
    result.we_offs = flags & WRDE_DOOFFS ? 3 : 0;
    if (flags & (WRDE_APPEND | WRDE_REUSE))
        wordexp("first 'se cond'", &result, 0);
    int error = wordexp(words, &result, flags);
    print_words(words, error, &result);
    if (error == 0)
        wordfree(&result);
    unsetenv("NEW");
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1) {
        expand(argv[1], 0);
        return 0;
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        printf("== %s\n", kinds[k].name);
        for (size_t i = 0; i < sizeof all / sizeof *all; i++)
            expand(all[i], kinds[k].flags);
    }
    return 0;
}
