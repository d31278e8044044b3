/* drill_told.h: what the report of a drill says, as texts in their order, whatever it is written as: one place decides which
 * sections there are, which rows and which columns; drill_report.c writes it as Markdown, drill_html.c as a page.
 *
 * Shape    {"drill","kind","means","summary"?,"lasted","owner"?,"result"?,"verdict","good":bool,
 *           "warnings":[{"label","text"}],"objectives"?:[text],
 *           "sections":[{"heading","heads":[text],"name":n,"rows":[[cell]]}    a table; column `name` says which row it is
 *                     | {"heading","items":[text]}
 *                     | {"heading","charts":[{"what","bars":[{"name","value","is":n,"of":n}]}]}]}    0 <= is <= of, of > 0;
 *                                                                             the last is this drill
 *           cell: text ("": nothing) | [text] | {"text","good":bool}
 *          Texts come from outside as they are: who writes them escapes them. What is not there is "-".
 */
#ifndef STANCH_DRILL_TOLD_H
#define STANCH_DRILL_TOLD_H
#include <jansson.h>

/** report: DRILLS.md; a kept one may hold anything. new */
json_t *stanch_drill__told(const json_t *report);

#endif
