/* xml.h: AWS's XML answers as values. Pure, but for libxml2.
 *
 *   <A><B>1</B><L><member>x</member><member>y</member></L><E/></A>   is   {"B":"1","L":["x","y"],"E":""}
 *
 * An element is a text when no element stands in it, an array when only `member` does, else an object. An empty list
 * and an empty text look alike in XML: what is no array has no items.
 */
#ifndef AWS_XML_H
#define AWS_XML_H
#include <jansson.h>

#define AWS_XML_MAX (8u << 20) /* bytes of one answer */

/** The root element's value. new; NULL when it is no XML, or more than it may be: a document type (so no entity is
 * ever declared), nested deeper than 32, an element twice. ret_root: the root's name, new, to be freed; left alone when
 * NULL is returned. ret_why: for people, static. */
json_t *aws_xml_parse(const char *body, size_t len, char **ret_root, const char **ret_why);
/** Free what libxml2 keeps for itself. */
void aws_xml_end(void);

#endif
