/* test_closure.c: the digest of a runbook changes with all that it requires, wherever that is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "base/digest.h"
#include "script/closure.h"

struct files {
    struct stanch_vm_source list[8];
    int count;
};

static void put(struct files *files, const char *path, const char *text)
{
    files->list[files->count++] = (struct stanch_vm_source){path, text, strlen(text)};
}

static void digest(const struct files *files, char ret[65])
{
    stanch_closure_digest(files->list, files->count, "a.lua", ret);
}

/* Does a.lua with this text change when `path` does? */
static int depends(const char *text, const char *path)
{
    char before[65], after[65];
    struct files files = {.count = 0};
    put(&files, "a.lua", text);
    put(&files, "lib/one.lua", strcmp(path, "lib/two.lua") == 0 ? "return require 'lib.two'" : "return 1");
    put(&files, "lib/two.lua", "return 2");
    put(&files, "b.lua", "-- another runbook");
    digest(&files, before);
    for (int i = 0; i < files.count; i++) {
        if (strcmp(files.list[i].path, path) == 0) {
            files.list[i].text = "return 3";
            files.list[i].len = strlen("return 3");
        }
    }
    digest(&files, after);
    assert_int_equal(strlen(before), 64);
    return strcmp(before, after) != 0;
}

static void alone_it_is_the_digest_of_its_text(void **state)
{
    (void)state;
    char seen[65], own[65];
    struct files files = {.count = 0};
    put(&files, "b.lua", "b");
    put(&files, "a.lua", "runbook 'x' {}");
    digest(&files, seen);
    stanch_digest_hex("runbook 'x' {}", strlen("runbook 'x' {}"), own);
    assert_string_equal(seen, own);
    stanch_closure_digest(files.list, files.count, "gone.lua", seen);
    assert_string_equal(seen, "");
}

static void what_is_required_belongs_to_it(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "local one = require \"lib.one\"",
        "local one = require('lib.one')",
        "local one = require ( \"lib.one\" )",
        "run = function() local x = require 'lib.one' end",
        "local s = 'a \\' quote' local one = require 'lib.one'",
        "local s = [==[ ]] ]==] local one = require 'lib.one'",
        "--[[ long\n]] local one = require'lib.one'",
        "local one = require\n  'lib.one'",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!depends(texts[i], "lib/one.lua"))
            fail_msg("not seen: %s", texts[i]);
        assert_false(depends(texts[i], "b.lua"));
        assert_true(depends(texts[i], "lib/two.lua")); /* what it requires requires that */
    }
}

static void what_is_no_code_does_not_count(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "-- require 'lib.one'",
        "--[[ require 'lib.one' ]]",
        "--[==[ ]] require 'lib.one' ]==]",
        "local s = \"require 'lib.one'\"",
        "local s = [[ require 'lib.one' ]]",
        "local required = 'lib.one'",
        "local one = 1 --",
        "local s = 'it is \\z\n require' 'lib.one'",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (depends(texts[i], "lib/one.lua"))
            fail_msg("seen: %s", texts[i]);
}

/* Whoever hides what it requires has changed when anything has. */
static void what_cannot_be_told_may_be_any_file(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "local one = require(name)",
        "local one = require('lib.' .. name)",
        "local r = require r 'lib.one'",
        "local one = _ENV['req' .. 'uire'] 'lib.one'",
        "local one = _G.x",
        "local one = require [[lib.one]]",
        "local one = require 'lib\\46one'",
        "require",
        "require '",
        "local s = 'unfinished", /* Lua would not read it either: it is on the safe side */
        "local s = [==[ unfinished",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!depends(texts[i], "lib/one.lua") || !depends(texts[i], "b.lua"))
            fail_msg("not seen: %s", texts[i]);
    }
}

static void a_circle_ends(void **state)
{
    (void)state;
    char before[65], after[65];
    struct files files = {.count = 0};
    put(&files, "a.lua", "require 'b'");
    put(&files, "b.lua", "require 'a'");
    digest(&files, before);
    files.list[1].text = "require 'a' ";
    files.list[1].len++;
    digest(&files, after);
    assert_string_not_equal(before, after);
}

int main(void)
{
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone_it_is_the_digest_of_its_text),
        cmocka_unit_test(what_is_required_belongs_to_it),
        cmocka_unit_test(what_is_no_code_does_not_count),
        cmocka_unit_test(what_cannot_be_told_may_be_any_file),
        cmocka_unit_test(a_circle_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
