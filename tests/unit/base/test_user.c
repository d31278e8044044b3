/* test_user.c: users are called as the machine's own list calls them, and nobody else is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/scratch.h"
#include "base/user.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *list_of(const char *text)
{
    struct stanch_err err = {0};
    char *path = stanch_asprintf("%s/passwd", folder);
    assert_int_equal(stanch_file_write(path, text, strlen(text), &err), 0);
    return path;
}

static void is_called(const char *text, uid_t uid, const char *name)
{
    STANCH_AUTO_FREE char *path = list_of(text);
    char got[STANCH_USER_NAME];
    stanch_user_name(path, uid, got);
    assert_string_equal(got, name);
}

static void a_user_is_called_as_in_the_list(void **state)
{
    static const char list[] = "root:x:0:0:root:/root:/bin/sh\n# a comment\n\nada:x:1000:1000:Ada:/home/ada:/bin/sh\n"
                               "twice:x:1000:1000::/:/bin/sh\nb.c-d_9:x:1001:1001::/:/bin/sh";
    (void)state;
    is_called(list, 0, "person:root");
    is_called(list, 1000, "person:ada");
    is_called(list, 1001, "person:b.c-d_9");
}

static void who_is_not_in_it_is_a_number(void **state)
{
    (void)state;
    is_called("root:x:0:0:root:/root:/bin/sh\n", 4294967294u, "uid:4294967294");
    is_called("", 0, "uid:0");
    char got[STANCH_USER_NAME];
    stanch_user_name("/nowhere/passwd", 7, got);
    assert_string_equal(got, "uid:7");
}

static void what_is_no_plain_name_is_not_one(void **state)
{
    static const char *const names[] = {"ic:ada", "a b", "\xc3\xa4", "a\x1b[31m", "", "a/b", "a@b", "+ada"};
    char text[512];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(text, sizeof text, "%s:x:7:7::/:/bin/sh\n", names[i]);
        is_called(text, 7, "uid:7");
    }
    memset(text, 'a', 400);
    (void)snprintf(text + 400, sizeof text - 400, ":x:7:7::/:/bin/sh\n");
    is_called(text, 7, "uid:7");
}

static void a_line_without_end_ends_the_list(void **state)
{
    char *text = stanch_alloc(70000);
    (void)state;
    memset(text, 'a', 66000);
    (void)strcpy(text + 66000, ":x:7:7::/:/bin/sh\nada:x:8:8::/:/bin/sh\n");
    is_called(text, 8, "uid:8");
    free(text);
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(a_user_is_called_as_in_the_list),
        CASE(who_is_not_in_it_is_a_number),
        CASE(what_is_no_plain_name_is_not_one),
        CASE(a_line_without_end_ends_the_list),
    };
    return cmocka_run_group_tests_name("base/user", tests, NULL, NULL);
}
