/* sabotage.h: defects that a build can have on purpose, to show that the campaigns notice them.
 *
 *     if (stanch_is_sabotaged("ack-before-commit"))
 *
 * stands where the promise is kept. It is 0 in every build but the one configured with
 * -DSTANCH_SABOTAGE=ack-before-commit, which compiles only the files that name the defect with it. The names stand in
 * sabotage.def; tests/law holds it, the sources and the campaigns against each other.
 */
#ifndef STANCH_BASE_SABOTAGE_H
#define STANCH_BASE_SABOTAGE_H

#ifdef STANCH_SABOTAGED
#include <string.h>
#define stanch_is_sabotaged(name) (strcmp(name, STANCH_SABOTAGED) == 0)
#else
#define stanch_is_sabotaged(name) 0
#endif

#endif
