/* test_file.c: small files are read whole or not at all, and replaced at once or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/scratch.h"
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

static char *in_folder(const char *name)
{
    return stanch_asprintf("%s/%s", folder, name);
}

static void put(const char *path, const char *bytes, size_t len)
{
    struct stanch_err err = {0};
    if (stanch_file_write(path, bytes, len, &err) != 0)
        fail_msg("%s", err.text);
}

static void hold(const char *path, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    struct stanch_err err = {0};
    if (stanch_file_read(path, 1 << 20, &got, &err) != 0)
        fail_msg("%s", err.text);
    assert_string_equal(stanch_buf_str(&got), expected);
}

/* name: the one file in the folder; NULL: there is none */
static void hold_only(const char *name)
{
    DIR *all = opendir(folder);
    int count = 0;
    assert_non_null(all);
    for (const struct dirent *one; (one = readdir(all));) {
        if (strcmp(one->d_name, ".") == 0 || strcmp(one->d_name, "..") == 0)
            continue;
        assert_string_equal(one->d_name, name ? name : "");
        count++;
    }
    closedir(all);
    assert_int_equal(count, name ? 1 : 0);
}

/* ---- reading ---- */

static void what_is_read_is_appended(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    struct stanch_err err = {0};
    put(path, "b\0c", 3);
    stanch_buf_text(&got, "before ");
    assert_int_equal(stanch_file_read(path, 3, &got, &err), 0); /* what was there before does not count */
    assert_int_equal(got.len, 10);
    assert_memory_equal(got.data, "before b\0c", 10);
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("none");
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s could not be read: No such file or directory", path);
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    struct stanch_err err = {0};
    assert_int_equal(stanch_file_read(path, 10, &got, &err), STANCH_E_NOT_FOUND);
    assert_string_equal(err.text, text);
    assert_int_equal(got.len, 0);
}

static void a_folder_is_no_file(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s could not be read: Is a directory", folder);
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    struct stanch_err err = {0};
    assert_int_equal(stanch_file_read(folder, 10, &got, &err), STANCH_E_SYSTEM);
    assert_string_equal(err.text, text);
}

/* Around what is read in one turn, too. */
static void none_is_larger_than_its_limit(void **state)
{
    static const size_t limits[] = {0, 1, 1024, 16383, 16384, 16385, 40000};
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    STANCH_AUTO_FREE char *bytes = stanch_alloc(40001);
    memset(bytes, 'x', 40001);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        STANCH_AUTO_BUF struct stanch_buf exact = {0}, more = {0};
        STANCH_AUTO_FREE char *text = stanch_asprintf("%s is larger than %zu KiB", path, limits[i] >> 10);
        struct stanch_err err = {0};
        put(path, bytes, limits[i]);
        assert_int_equal(stanch_file_read(path, limits[i], &exact, &err), 0);
        assert_int_equal(exact.len, limits[i]);
        put(path, bytes, limits[i] + 1);
        assert_int_equal(stanch_file_read(path, limits[i], &more, &err), STANCH_E_TOO_LARGE);
        assert_string_equal(err.text, text);
    }
}

/* ---- writing ---- */

static void what_was_there_is_replaced(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    put(path, "a long text", 11);
    FILE *reader = fopen(path, "re");
    assert_non_null(reader);
    put(path, "new", 3);
    hold(path, "new");
    char old[32] = "";
    assert_int_equal(fread(old, 1, sizeof old, reader), 11); /* who reads sees the one or the other, never a mix */
    assert_memory_equal(old, "a long text", 11);
    (void)fclose(reader);
    put(path, "", 0);
    hold(path, "");
    hold_only("a");
}

static void what_an_earlier_one_left_beside_it_is_no_hindrance(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a"), *beside = in_folder("a.new");
    put(beside, "half of what was to be wri", 26);
    put(path, "whole", 5);
    hold(path, "whole");
    hold_only("a");
}

static void a_path_without_a_folder_is_of_the_one_at_work(void **state)
{
    char before[4096];
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(folder), 0);
    put("a", "here", 4);
    assert_int_equal(chdir(before), 0);
    hold(path, "here");
}

/* why: of errno; where it failed, no more is there than before */
static void hold_refused(const char *path, const char *why)
{
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s could not be written: %s", path, why);
    assert_int_equal(stanch_file_write(path, "new", 3, &err), STANCH_E_SYSTEM);
    assert_string_equal(err.text, text);
}

static void a_folder_is_not_replaced(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    assert_int_equal(mkdir(path, 0700), 0);
    hold_refused(path, "Is a directory"); /* found out by the rename: what was written beside it is taken away */
    hold_only("a");
}

static void there_must_be_a_folder(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *file = in_folder("a"), *below = in_folder("a/b"), *nowhere = in_folder("none/b");
    put(file, "x", 1);
    hold_refused(below, "Not a directory");
    hold_refused(nowhere, "No such file or directory");
    hold(file, "x");
    hold_only("a");
}

/* As somebody who is not root, whom nothing can be denied. */
static void who_may_not_write_there_changes_nothing(void **state)
{
    bool is_root = geteuid() == 0;
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a");
    put(path, "old", 3);
    assert_int_equal(chmod(path, 0666), 0); /* the file alone may be written: it would not be at once */
    assert_int_equal(chmod(folder, 0555), 0);
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    hold_refused(path, "Permission denied");
    hold(path, "old");
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    assert_int_equal(chmod(folder, 0755), 0);
    hold_only("a");
}

/* No room, as a limit of this process says it. */
static void what_does_not_fit_leaves_what_was_there(void **state)
{
    struct rlimit before, small;
    struct stanch_err err = {0};
    (void)state;
    STANCH_AUTO_FREE char *path = in_folder("a"), *bytes = stanch_alloc(100000);
    memset(bytes, 'x', 100000);
    put(path, "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){4096, before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int rc = stanch_file_write(path, bytes, 100000, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    (void)signal(SIGXFSZ, handler);
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s could not be written: File too large", path);
    assert_int_equal(rc, STANCH_E_SYSTEM);
    assert_string_equal(err.text, text);
    hold(path, "old");
    hold_only("a");
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(what_is_read_is_appended),
        CASE(what_is_not_there_is_not_found),
        CASE(a_folder_is_no_file),
        CASE(none_is_larger_than_its_limit),
        CASE(what_was_there_is_replaced),
        CASE(what_an_earlier_one_left_beside_it_is_no_hindrance),
        CASE(a_path_without_a_folder_is_of_the_one_at_work),
        CASE(a_folder_is_not_replaced),
        CASE(there_must_be_a_folder),
        CASE(who_may_not_write_there_changes_nothing),
        CASE(what_does_not_fit_leaves_what_was_there),
    };
    return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
