/* ical.c: libical, loaded when it is needed. */
#include "gameday/ical.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define SONAME "libical.so.3"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct stanch_ical loaded;
static char missing[300]; /* "": it is there */

/* A function's address comes as that of an object (POSIX, dlsym: the representations are the same). */
static void *find(void *lib, const char *name)
{
    void *found = dlsym(lib, name);
    if (!found && !missing[0])
        (void)snprintf(missing, sizeof missing, "%s has no %s", SONAME, name);
    return found;
}

static void load(void)
{
    void *lib = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    if (!lib) {
        (void)snprintf(missing, sizeof missing, "%s", dlerror());
        return;
    }
#define LOAD(name)                                                                                                     \
    {                                                                                                                  \
        void *found = find(lib, #name);                                                                                \
        memcpy(&loaded.name, &found, sizeof found);                                                                    \
    }
    STANCH_ICAL_EACH(LOAD)
#undef LOAD
    if (!missing[0])
        loaded.icalerror_set_errors_are_fatal(0); /* it can be built to abort at a wrong text */
}

const struct stanch_ical *stanch_ical(struct stanch_err *err)
{
    (void)pthread_once(&once, load);
    if (!missing[0])
        return &loaded;
    (void)stanch_err_set(err, STANCH_E_SYSTEM, "schedules and their calendar need libical (package libical3): %s",
                         missing);
    return NULL;
}
