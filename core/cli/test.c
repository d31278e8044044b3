/* test.c: runbook test. A process of its own plays the tests (serve_rehearse.c); this shows how it went, for people, as TAP
 * (version 13) and as JUnit's XML. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* ---- how it went ---- */

struct counts {
    size_t all, failed;
    int64_t plays, took_us;
};

static struct counts count(const json_t *report)
{
    struct counts counts = {0};
    const json_t *tests = json_object_get(report, "tests");
    counts.all = json_array_size(tests);
    for (size_t i = 0; i < counts.all; i++) {
        const json_t *test = json_array_get(tests, i);
        counts.failed += !stanch_json_bool(test, "ok", false);
        counts.plays += stanch_json_int(test, "plays", 0);
        counts.took_us += stanch_json_int(test, "took_us", 0);
    }
    return counts;
}

static void say_failures(const struct stanch_cli *cli, const json_t *test, const char *before)
{
    const json_t *failures = json_object_get(test, "failures");
    for (size_t i = 0; i < json_array_size(failures); i++) {
        STANCH_AUTO_FREE char *text = stanch_cli__one_line(json_array_get(failures, i));
        stanch_cli__say(cli, "%s%s\n", before, text);
    }
}

static void say_test(const struct stanch_cli *cli, const json_t *test)
{
    bool ok = stanch_json_bool(test, "ok", false);
    STANCH_AUTO_FREE char *path = stanch_cli__one_line(json_object_get(test, "path"));
    STANCH_AUTO_FREE char *name = stanch_cli__one_line(json_object_get(test, "name"));
    const char *paint = stanch_cli__paint(cli, ok ? "succeeded" : "failed");
    stanch_cli__say(cli, "%s%s%s %s:%lld: %s (%.1f ms)\n", paint, ok ? "ok  " : "FAIL",
                    *paint ? stanch_cli__plain(cli) : "", path, (long long)stanch_json_int(test, "line", 0), name,
                    (double)stanch_json_int(test, "took_us", 0) / 1000.0);
    say_failures(cli, test, "       ");
}

/* ---- coverage ---- */

/* How many lines of code a file has, and which were not run. */
static void say_covered(const struct stanch_cli *cli, const json_t *report)
{
    const json_t *covered = json_object_get(report, "covered");
    const char *path;
    json_t *lines;
    json_object_foreach(json_object_get(report, "lines"), path, lines)
    {
        const json_t *ran = json_object_get(covered, path);
        size_t all = json_array_size(lines), missed = 0;
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        for (size_t i = 0; i < all; i++) {
            char line[24];
            (void)snprintf(line, sizeof line, "%lld", (long long)json_integer_value(json_array_get(lines, i)));
            if (json_object_get(ran, line))
                continue;
            stanch_buf_printf(&text, "%s%s", missed++ ? ", " : ", not run: ", line);
        }
        STANCH_AUTO_BUF struct stanch_buf clean = {0};
        stanch_cli__clean(path, &clean);
        stanch_cli__say(cli, "%s: %zu of %zu lines%s\n", stanch_buf_str(&clean), all - missed, all,
                        missed ? stanch_buf_str(&text) : "");
    }
}

/* ---- mutants ---- */

static size_t say_mutants(const struct stanch_cli *cli, const json_t *report)
{
    const json_t *mutants = json_object_get(report, "mutants");
    size_t caught = 0;
    for (size_t i = 0; i < json_array_size(mutants); i++) {
        const json_t *mutant = json_array_get(mutants, i);
        caught += stanch_json_bool(mutant, "caught", false);
        if (stanch_json_bool(mutant, "caught", false))
            continue;
        STANCH_AUTO_FREE char *path = stanch_cli__one_line(json_object_get(mutant, "path"));
        STANCH_AUTO_FREE char *what = stanch_cli__one_line(json_object_get(mutant, "what"));
        stanch_cli__say(cli, "not noticed: %s:%lld: %s\n", path, (long long)stanch_json_int(mutant, "line", 0), what);
    }
    if (json_is_array(mutants))
        stanch_cli__say(cli, "%zu of %zu mutants were noticed\n", caught, json_array_size(mutants));
    return json_array_size(mutants) - caught;
}

/* ---- for programs ---- */

static void say_tap(const struct stanch_cli *cli, const json_t *report)
{
    const json_t *tests = json_object_get(report, "tests");
    stanch_cli__say(cli, "TAP version 13\n1..%zu\n", json_array_size(tests));
    for (size_t i = 0; i < json_array_size(tests); i++) {
        const json_t *test = json_array_get(tests, i);
        STANCH_AUTO_FREE char *path = stanch_cli__one_line(json_object_get(test, "path"));
        STANCH_AUTO_FREE char *name = stanch_cli__one_line(json_object_get(test, "name"));
        for (char *at = name; (at = strchr(at, '#')); at++)
            *at = '-'; /* it would begin a directive */
        stanch_cli__say(cli, "%sok %zu - %s: %s\n", stanch_json_bool(test, "ok", false) ? "" : "not ", i + 1, path,
                        name);
        say_failures(cli, test, "# ");
    }
}

static void write_xml(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '<' || c == '>' || c == '&' || c == '"')
            (void)fprintf(out, "&#%u;", (unsigned)c);
        else
            (void)fputc(c < 0x20 && c != '\t' && c != '\n' ? '?' : c, out);
    }
}

static void write_case(FILE *out, const json_t *test)
{
    const json_t *failures = json_object_get(test, "failures");
    (void)fputs("  <testcase classname=\"", out);
    write_xml(out, stanch_json_str(test, "path", ""));
    (void)fputs("\" name=\"", out);
    write_xml(out, stanch_json_str(test, "name", ""));
    (void)fprintf(out, "\" time=\"%.6f\">\n", (double)stanch_json_int(test, "took_us", 0) / 1e6);
    for (size_t i = 0; i < json_array_size(failures); i++) {
        (void)fputs("    <failure message=\"", out);
        write_xml(out, json_string_value(json_array_get(failures, i)));
        (void)fputs("\"/>\n", out);
    }
    (void)fputs("  </testcase>\n", out);
}

static int write_junit(struct stanch_cli *cli, const char *path, const json_t *report)
{
    const json_t *tests = json_object_get(report, "tests");
    struct counts counts = count(report);
    FILE *out = fopen(path, "we");
    if (!out)
        return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "cannot write %s", path);
    (void)fprintf(out,
                  "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<testsuite name=\"runbooks\" tests=\"%zu\" failures=\"%zu\" time=\"%.6f\">\n",
                  counts.all, counts.failed, (double)counts.took_us / 1e6);
    for (size_t i = 0; i < counts.all; i++)
        write_case(out, json_array_get(tests, i));
    (void)fputs("</testsuite>\n", out);
    int failed = ferror(out);
    return fclose(out) != 0 || failed ? stanch_err_set(&cli->err, STANCH_E_SYSTEM, "%s could not be written", path) : 0;
}

/* ---- run ---- */

static void add_flags(const struct stanch_cli *cli, char **words, int *used)
{
    static const struct {
        enum stanch_cli__option option;
        const char *word;
    } flags[] = {{STANCH_CLI__FAULTS, "--faults"},
                 {STANCH_CLI__CRASH, "--crash"},
                 {STANCH_CLI__COVER, "--cover"},
                 {STANCH_CLI__MUTATE, "--mutate"}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (stanch_cli__flag(cli, flags[i].option))
            words[(*used)++] = stanch_strdup(flags[i].word);
}

static void add_value(char **words, int *used, const char *word, const char *value)
{
    if (!value)
        return;
    words[(*used)++] = stanch_strdup(word);
    words[(*used)++] = stanch_strdup(value);
}

char *stanch_cli__config_of(const struct stanch_cli *cli, const char *folder)
{
    const char *given = stanch_cli__value(cli, STANCH_CLI__CONFIG);
    char *own = given ? stanch_strdup(given) : stanch_asprintf("%s/stanch.lua", folder);
    if (given || access(own, F_OK) == 0)
        return own;
    free(own);
    return stanch_strdup("/etc/stanch/stanch.lua");
}

int stanch_cli__rehearse(struct stanch_cli *cli, const char *verb, const char *folder, json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char jobs[24], *words[24] = {NULL};
    int used = 0;
    const char *given = stanch_cli__value(cli, STANCH_CLI__JOBS);
    STANCH_AUTO_FREE char *config = stanch_cli__config_of(cli, folder);
    (void)snprintf(jobs, sizeof jobs, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    words[used++] = stanch_strdup("rehearse");
    words[used++] = stanch_strdup(verb);
    words[used++] = stanch_strdup(folder);
    add_value(words, &used, "--config", config);
    add_value(words, &used, "--plugins", stanch_cli__value(cli, STANCH_CLI__PLUGINS));
    add_value(words, &used, "--filter", stanch_cli__value(cli, STANCH_CLI__FILTER));
    add_value(words, &used, "--jobs", given ? given : jobs);
    add_flags(cli, words, &used);
    int rc = stanch_cli__run_self(cli, words, &text);
    for (int i = 0; i < used; i++)
        free(words[i]);
    return rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, &cli->err);
}

static void say_report(const struct stanch_cli *cli, const json_t *report)
{
    const json_t *tests = json_object_get(report, "tests");
    struct counts counts = count(report);
    for (size_t i = 0; i < counts.all; i++)
        say_test(cli, json_array_get(tests, i));
    say_covered(cli, report);
    (void)say_mutants(cli, report);
    stanch_cli__say(cli, "%zu tests, %zu passed, %zu failed", counts.all, counts.all - counts.failed, counts.failed);
    if (counts.plays > (int64_t)counts.all)
        stanch_cli__say(cli, ", played %lld times", (long long)counts.plays);
    stanch_cli__say(cli, "\n");
}

static int run_test(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *report = NULL;
    const char *junit = stanch_cli__value(cli, STANCH_CLI__JUNIT);
    int rc = stanch_cli__rehearse(cli, "test", cli->arg_count ? cli->args[0] : ".", &report);
    if (rc == 0 && junit)
        rc = write_junit(cli, junit, report);
    if (rc != 0)
        return rc;
    struct counts counts = count(report);
    if (stanch_cli__flag(cli, STANCH_CLI__TAP))
        say_tap(cli, report);
    else if (!stanch_cli__said_json(cli, report))
        say_report(cli, report);
    if (counts.all == 0)
        return stanch_err_set(&cli->err, STANCH_E_NOT_FOUND,
                              "there is no test: they are in files whose names end in _test.lua");
    return counts.failed
               ? stanch_err_set(&cli->err, STANCH_E_SCRIPT, "%zu of %zu tests failed", counts.failed, counts.all)
               : 0;
}

const struct stanch_cli__command stanch_cli__test_commands[] = {
    {"runbook", "test", "[DIR]", 0, 1, "config plugins filter jobs junit faults crash cover mutate tap",
     "play the tests of a folder's runbooks in a simulated world", run_test},
    {0},
};
