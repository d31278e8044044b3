# cmake -DINPUT=openapi.json -DOUTPUT=x.c -P embed.cmake: a text as a C array, a line a line.
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR length "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REPLACE "0x0a," "0x0a,\n    " bytes "${bytes}")
file(WRITE ${OUTPUT} "#include \"api/room.h\"\n\nconst char stanch_api__openapi_text[] = {\n    ${bytes}0};\n"
  "const unsigned long stanch_api__openapi_len = ${length};\n")
