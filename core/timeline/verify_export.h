/* verify_export.h: the other half of verify: a file of JSON lines that was exported. */
#ifndef STANCH_TIMELINE_VERIFY_EXPORT_H
#define STANCH_TIMELINE_VERIFY_EXPORT_H
#include "timeline/verify.h"

/** As stanch_timeline_verify, path is an export. */
int stanch_verify_export(const char *path, const char *chain, const char *checkpoint_path,
                         struct stanch_verify_result *ret, struct stanch_err *err);

#endif
