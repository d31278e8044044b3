/* test_people.c: who came in, what each may, and who is on call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "people/people.h"
#include <string.h>

#define DAY 86400000LL
#define NOW (20000 * DAY)

static struct stanch_people *make(const char *text)
{
    STANCH_AUTO_JSON json_t *data = json_loads(text, 0, NULL);
    struct stanch_people *people = NULL;
    struct stanch_err err = {0};
    assert_non_null(data);
    if (stanch_people_new(data, &people, &err) < 0)
        fail_msg("%s", err.text);
    return people;
}

static const char of_three[] =
    "{'people':[{'name':'ada','uid':1000,'email':'Ada@example.org','may':'admin'},"
    "{'name':'grace','title':'Grace','uid':1001,'may':'approve'},{'name':'alan','may':'read'}],"
    "'roles':{'ic':{'people':['ada','grace'],'rotate_ms':86400000,'from_ms':1728000000000},"
    "'lead':{'people':['alan'],'calendar':'tech'},'scribe':{'calendar':'notes'}},'pool':['grace','ada']}";

static struct stanch_people *three(void)
{
    char text[sizeof of_three];
    memcpy(text, of_three, sizeof text);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    return make(text);
}

static void a_uid_is_a_person_or_nobody(void **state)
{
    struct stanch_people *people = three();
    struct stanch_principal who;
    struct stanch_err err = {0};
    (void)state;
    assert_int_equal(stanch_people_by_uid(people, 1001, &who, &err), 0);
    assert_string_equal(who.name, "person:grace");
    assert_int_equal(who.may, STANCH_MAY_APPROVE);
    assert_int_equal(stanch_people_by_uid(people, 0, &who, &err), STANCH_E_FORBIDDEN);
    assert_non_null(strstr(err.text, "uid 0 of this machine is nobody"));
    assert_int_equal(stanch_people_may(people, "person:alan"), STANCH_MAY_READ);
    assert_int_equal(stanch_people_may(people, "ada"), STANCH_MAY_ADMIN);
    assert_int_equal(stanch_people_may(people, "token:ada"), STANCH_MAY_NOTHING);
    assert_int_equal(stanch_people_may(people, "person:nobody"), STANCH_MAY_NOTHING);
    stanch_people_free(people);
}

static void a_token_ends_at_its_time_and_tells_nothing_of_itself(void **state)
{
    char hash[65];
    stanch_token_hash("stanch_secret", hash);
    STANCH_AUTO_JSON json_t *data = json_pack("{s:[{s:s, s:s}], s:[{s:s, s:s, s:s, s:I, s:s}]}", "people", "name",
                                              "ada", "may", "respond", "tokens", "name", "phone", "person", "ada",
                                              "hash", hash, "expires_ms", (json_int_t)NOW, "may", "admin");
    struct stanch_people *people = NULL;
    struct stanch_principal who;
    struct stanch_err err = {0};
    (void)state;
    assert_int_equal(stanch_people_new(data, &people, &err), 0);
    assert_int_equal(stanch_people_by_token(people, "stanch_secret", NOW - 1, &who, &err), 0);
    assert_string_equal(who.name, "person:ada");
    assert_int_equal(who.may, STANCH_MAY_RESPOND); /* the lesser of the two */
    assert_int_equal(stanch_people_by_token(people, "stanch_secret", NOW, &who, &err), STANCH_E_UNAUTHORIZED);
    assert_non_null(strstr(err.text, "\"phone\" has expired"));
    assert_null(strstr(err.text, "secret"));
    assert_int_equal(stanch_people_by_token(people, hash, NOW - 1, &who, &err), STANCH_E_UNAUTHORIZED);
    assert_null(strstr(err.text, hash));
    assert_int_equal(stanch_people_by_token(people, "", NOW - 1, &who, &err), STANCH_E_UNAUTHORIZED);
    stanch_people_free(people);
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"{'people':[{'name':'a','uid':1},{'name':'b','uid':1}]}", "person \"a\" and \"b\" have the same uid"},
        {"{'people':[],'tokens':[{'name':'t','person':'x','may':'read'}]}",
         "token \"t\": person: there is no person \"x\" in this file"},
        {"{'tokens':[{'name':'t','may':'approve'}]}",
         "token \"t\" may approve, but belongs to no person: people decide, programs do not"},
        {"{'tokens':[{'name':'t','hash':'h','may':'read'},{'name':'u','hash':'h','may':'read'}]}",
         "token \"t\" and \"u\" have the same hash"},
        {"{'tokens':[{'name':'t','source':'am','may':'read'}]}",
         "token \"t\" is for events of a source: it can do nothing else, so `may` says nothing"},
        {"{'people':[{'name':'a'}],'tokens':[{'name':'t','source':'am','person':'a'}]}",
         "token \"t\" is for events of a source, not of a person"},
        {"{'pool':['x']}", "pool: there is no person \"x\" in this file"},
        {"{'roles':{'ic':{'people':['x']}}}", "roles.ic.people: there is no person \"x\" in this file"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        struct stanch_people *people = NULL;
        struct stanch_err err = {0};
        (void)snprintf(text, sizeof text, "%s", rows[i][0]);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        STANCH_AUTO_JSON json_t *data = json_loads(text, 0, NULL);
        assert_int_equal(stanch_people_new(data, &people, &err), STANCH_E_INVALID);
        assert_string_equal(err.text, rows[i][1]);
    }
}

static void assert_on_call(const struct stanch_people *people, const char *role, int64_t at_ms, const char *who)
{
    char name[160];
    stanch_people_on_call(people, role, at_ms, name);
    assert_string_equal(name, who);
}

static void turns_follow_each_other(void **state)
{
    struct stanch_people *people = three();
    (void)state;
    assert_on_call(people, "ic", NOW - 5 * DAY, "person:ada"); /* before the first turn it is the first one's */
    assert_on_call(people, "ic", NOW, "person:ada");
    assert_on_call(people, "ic", NOW + DAY - 1, "person:ada");
    assert_on_call(people, "ic", NOW + DAY, "person:grace");
    assert_on_call(people, "ic", NOW + 2 * DAY, "person:ada");
    assert_on_call(people, "lead", NOW, "person:alan");
    assert_on_call(people, "scribe", NOW, "");
    assert_on_call(people, "nothing", NOW, "");
    assert_string_equal(stanch_people_calendar(people, "scribe"), "notes");
    assert_null(stanch_people_calendar(people, "ic"));
    stanch_people_free(people);
}

static void a_calendar_calls_people_by_address_or_name(void **state)
{
    static const char *const rows[][2] = {{"ada@EXAMPLE.org", "person:ada"},
                                          {"grace", "person:grace"},
                                          {"Grace", "person:grace"},
                                          {"x@example.org", ""},
                                          {"", ""}};
    struct stanch_people *people = three();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[160];
        stanch_people_called(people, rows[i][0], name);
        assert_string_equal(name, rows[i][1]);
    }
    assert_int_equal(json_array_size(stanch_people_pool(people)), 2);
    stanch_people_free(people);
}

int main(void)
{
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uid_is_a_person_or_nobody),
        cmocka_unit_test(a_token_ends_at_its_time_and_tells_nothing_of_itself),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(turns_follow_each_other),
        cmocka_unit_test(a_calendar_calls_people_by_address_or_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
