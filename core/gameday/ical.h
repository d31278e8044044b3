/* ical.h: libical, loaded when it is needed. It brings ICU with it, of which every process of this executable (command line, workers' runner,
 * plugin hosts) would pay 0.8 MB and 3 ms, and only a daemon with a schedule, or one whose feed is read, has any use for it.
 * Thread: any. Inside gameday/ only.
 */
#ifndef STANCH_GAMEDAY_ICAL_H
#define STANCH_GAMEDAY_ICAL_H
#include "base/err.h"
#include <libical/ical.h>

/* Every function of it that is used, once; each is a member of the same name. */
#define STANCH_ICAL_EACH(F)                                                                                            \
    F(icalcomponent_add_component)                                                                                     \
    F(icalcomponent_add_property)                                                                                      \
    F(icalcomponent_as_ical_string_r)                                                                                  \
    F(icalcomponent_free)                                                                                              \
    F(icalcomponent_new_vcalendar)                                                                                     \
    F(icalcomponent_new_vevent)                                                                                        \
    F(icalerror_set_errors_are_fatal)                                                                                  \
    F(icalmemory_free_buffer)                                                                                          \
    F(icalmemory_free_ring)                                                                                            \
    F(icalproperty_new_categories)                                                                                     \
    F(icalproperty_new_description)                                                                                    \
    F(icalproperty_new_dtend)                                                                                          \
    F(icalproperty_new_dtstamp)                                                                                        \
    F(icalproperty_new_dtstart)                                                                                        \
    F(icalproperty_new_prodid)                                                                                         \
    F(icalproperty_new_sequence)                                                                                       \
    F(icalproperty_new_status)                                                                                         \
    F(icalproperty_new_summary)                                                                                        \
    F(icalproperty_new_uid)                                                                                            \
    F(icalproperty_new_version)                                                                                        \
    F(icalrecur_iterator_free)                                                                                         \
    F(icalrecur_iterator_new)                                                                                          \
    F(icalrecur_iterator_next)                                                                                         \
    F(icalrecurrencetype_from_string)                                                                                  \
    F(icaltime_days_in_month)                                                                                          \
    F(icaltime_from_timet_with_zone)                                                                                   \
    F(icaltime_is_null_time)                                                                                           \
    F(icaltime_is_utc)                                                                                                 \
    F(icaltime_null_time)                                                                                              \
    F(icaltimezone_get_utc_timezone)

struct stanch_ical {
#define STANCH_ICAL__MEMBER(name) __typeof__(name) *name;
    STANCH_ICAL_EACH(STANCH_ICAL__MEMBER)
#undef STANCH_ICAL__MEMBER
};

/** libical, loaded with the first call and kept; its errors are none that end the process. returns: shared; NULL with err set
 *  (STANCH_E_SYSTEM: the package libical3 is not there, or another one) */
const struct stanch_ical *stanch_ical(struct stanch_err *err);

#endif
