/* test_folder.c: which files of a folder are read, in which order, and what is said of those that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/folder.h"
#include "base/mem.h"
#include "base/scratch.h"
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Its folders are made. */
static void put(const char *name, const char *text)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", folder, name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (mkdir(path, 0755) != 0)
            assert_int_equal(errno, EEXIST);
    }
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static int on_file(void *ctx, const char *name, struct stanch_buf *text, struct stanch_err *err)
{
    stanch_buf_printf(ctx, "%s=%s ", name, stanch_buf_str(text));
    return strcmp(name, "stop.lua") == 0 ? stanch_err_set(err, STANCH_E_REFUSED, "enough") : 0;
}

static const struct stanch_folder_rules plain = {.ending = ".lua", .max_depth = 2};

static void hold(const char *at, const struct stanch_folder_rules *rules, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf seen = {0};
    struct stanch_err err = {0};
    if (stanch_folder_read(at, rules, on_file, &seen, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(stanch_buf_str(&seen), expected);
}

/* text: `%s` is the folder; seen: what was handed on before */
static void hold_error(const struct stanch_folder_rules *rules, int code, const char *text, const char *seen)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    STANCH_AUTO_BUF struct stanch_buf expected = {0};
    struct stanch_err err = {0};
    for (const char *at = text; *at; at++)
        if (*at == '%')
            stanch_buf_text(&expected, folder);
        else
            stanch_buf_char(&expected, *at);
    assert_int_equal(stanch_folder_read(folder, rules, on_file, &got, &err), code);
    assert_string_equal(err.text, stanch_buf_str(&expected));
    assert_string_equal(stanch_buf_str(&got), seen);
}

static void files_come_by_their_paths(void **state)
{
    (void)state;
    hold(folder, &plain, "");
    put("b.lua", "2");
    put("a/z.lua", "4");
    put("a.lua", "1");
    put("a-b/c.lua", "0");
    put("a/b/\xc3\xa9.lua", "3");
    put("B.lua", "");
    hold(folder, &plain, "B.lua= a-b/c.lua=0 a.lua=1 a/b/\xc3\xa9.lua=3 a/z.lua=4 b.lua=2 ");
    STANCH_AUTO_FREE char *with_slash = stanch_asprintf("%s/", folder);
    hold(with_slash, &plain, "B.lua= a-b/c.lua=0 a.lua=1 a/b/\xc3\xa9.lua=3 a/z.lua=4 b.lua=2 ");
}

static void only_what_was_put_there_is_read(void **state)
{
    (void)state;
    put("a.lua", "1");
    put("a.txt", "x");
    put("lua", "x");
    put(".lua", "x");
    put(".hidden.lua", "x");
    put(".git/a.lua", "x");
    put("no\xff.txt", "x");
    put("elsewhere/b.txt", "x");
    STANCH_AUTO_FREE char *file = stanch_asprintf("%s/linked.lua", folder);
    STANCH_AUTO_FREE char *dir = stanch_asprintf("%s/linked", folder), *circle = stanch_asprintf("%s/circle", folder);
    STANCH_AUTO_FREE char *pipe = stanch_asprintf("%s/pipe.lua", folder), *no = stanch_asprintf("%s/no.lua", folder);
    STANCH_AUTO_FREE char *named = stanch_asprintf("%s/dir.lua", folder);
    assert_int_equal(symlink("a.lua", file), 0);
    assert_int_equal(symlink("elsewhere", dir), 0);
    assert_int_equal(symlink(".", circle), 0);
    assert_int_equal(symlink("nothing", no), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0); /* who opens it waits for ever */
    assert_int_equal(mkdir(named, 0700), 0);
    hold(folder, &plain, "a.lua=1 ");
}

static void what_is_too_deep_is_passed_over(void **state)
{
    (void)state;
    put("0.lua", "0");
    put("1/1.lua", "1");
    put("1/2/2.lua", "2");
    put("1/2/3/3.lua", "3");
    hold(folder, &plain, "0.lua=0 1/1.lua=1 1/2/2.lua=2 ");
    hold(folder, &(struct stanch_folder_rules){.ending = ".lua"}, "0.lua=0 ");
}

static void names_are_text(void **state)
{
    (void)state;
    put("a.lua", "1");
    put("b/\xff.lua", "2");
    hold_error(&plain, STANCH_E_INVALID, "the name of a file in the folder % is not UTF-8", "");
}

static void there_are_not_too_many(void **state)
{
    const struct stanch_folder_rules two = {.ending = ".lua", .max_depth = 2, .max_files = 2};
    (void)state;
    put("a.lua", "1");
    put("b/a.lua", "2");
    put("b/c.txt", "x");
    hold(folder, &two, "a.lua=1 b/a.lua=2 ");
    put("c.lua", "3");
    hold_error(&two, STANCH_E_TOO_LARGE, "more than 2 files are in the folder %", "");
}

static void none_is_too_large(void **state)
{
    const struct stanch_folder_rules small = {.ending = ".lua", .max_file_bytes = 2048};
    char bytes[2050];
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    bytes[2048] = 0;
    put("b.lua", bytes);
    STANCH_AUTO_FREE char *expected = stanch_asprintf("b.lua=%s ", bytes);
    hold(folder, &small, expected);
    bytes[2048] = 'x';
    bytes[2049] = 0;
    put("a.lua", "1");
    put("b.lua", bytes);
    hold_error(&small, STANCH_E_TOO_LARGE, "%/b.lua is larger than 2 KiB", "a.lua=1 ");
}

static void who_reads_may_end_it(void **state)
{
    (void)state;
    put("a.lua", "1");
    put("stop.lua", "2");
    put("z.lua", "3");
    hold_error(&plain, STANCH_E_REFUSED, "enough", "a.lua=1 stop.lua=2 ");
}

/* As somebody who is not root, whom everything can be read by. */
static void hold_unreadable(int code, const char *text, const char *seen)
{
    bool is_root = geteuid() == 0;
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    hold_error(&plain, code, text, seen);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
}

static void what_cannot_be_read_is_said(void **state)
{
    (void)state;
    put("a.lua", "1");
    put("b.lua", "2");
    put("b/c.lua", "3");
    STANCH_AUTO_FREE char *file = stanch_asprintf("%s/b.lua", folder), *dir = stanch_asprintf("%s/b", folder);
    assert_int_equal(chmod(file, 0), 0);
    hold_unreadable(STANCH_E_SYSTEM, "%/b.lua could not be read: Permission denied", "a.lua=1 ");
    assert_int_equal(chmod(dir, 0), 0);
    hold_unreadable(STANCH_E_NOT_FOUND, "the folder %/b/ could not be read: Permission denied", "");
    assert_int_equal(chmod(dir, 0755), 0);
    struct stanch_err err = {0};
    assert_int_equal(stanch_folder_read(file, &plain, on_file, NULL, &err), STANCH_E_NOT_FOUND);
    assert_int_equal(stanch_folder_read("/nonexistent", &plain, on_file, NULL, &err), STANCH_E_NOT_FOUND);
    assert_string_equal(err.text, "the folder /nonexistent could not be read: No such file or directory");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(files_come_by_their_paths),
        CASE(only_what_was_put_there_is_read),
        CASE(what_is_too_deep_is_passed_over),
        CASE(names_are_text),
        CASE(there_are_not_too_many),
        CASE(none_is_too_large),
        CASE(who_reads_may_end_it),
        CASE(what_cannot_be_read_is_said),
    };
    return cmocka_run_group_tests_name("base/folder", tests, NULL, NULL);
}
