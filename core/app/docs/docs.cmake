# SPDX-License-Identifier: MIT
# The docs page inside the binary: our page and Swagger UI, each file compressed
# once here and served so. Makes `dl_docs_files` (core/base/embedded.h). Packages
# come from npm as package-lock.json pins them by hash; their scripts never run.
find_program(NPM npm)
find_program(GZIP gzip)
if(NOT NPM OR NOT GZIP)
  message(FATAL_ERROR "The docs page is built with npm and gzip: install the packages npm and gzip (apt-get install npm gzip)")
endif()

set(docs_source ${CMAKE_CURRENT_LIST_DIR})
set(docs_build ${CMAKE_CURRENT_BINARY_DIR}/docs)
set(docs_stamp ${docs_build}/npm.stamp)
set(docs_package ${docs_build}/node_modules/swagger-ui-dist)

add_custom_command(
  OUTPUT ${docs_stamp}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${docs_build}
  COMMAND ${CMAKE_COMMAND} -E copy ${docs_source}/package.json ${docs_source}/package-lock.json ${docs_build}
  COMMAND ${NPM} ci --prefix ${docs_build} --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
  COMMAND ${CMAKE_COMMAND} -E touch ${docs_stamp}
  DEPENDS ${docs_source}/package.json ${docs_source}/package-lock.json
  COMMENT "Fetching Swagger UI for the docs page (npm, pinned by hash)"
  VERBATIM)

# docs_file(NAME FILE...): the files, one after the other, compressed as NAME.
# -n leaves out times, so that two builds of one state are the same.
set(docs_files "")
function(docs_file name)
  set(output ${docs_build}/${name}.gz)
  set(own ${ARGN})
  list(FILTER own EXCLUDE REGEX "/node_modules/") # those change only with the stamp
  add_custom_command(
    OUTPUT ${output}
    COMMAND sh -c "cat \"$@\" > \"$0.plain\" && \"${GZIP}\" -9nc \"$0.plain\" > \"$0\" && rm \"$0.plain\"" ${output} ${ARGN}
    DEPENDS ${docs_stamp} ${own}
    VERBATIM)
  set(docs_files ${docs_files} ${name}=${output} PARENT_SCOPE)
endfunction()

docs_file(index.html ${docs_source}/index.html)
docs_file(page.js ${docs_source}/page.js)
docs_file(page.css ${docs_source}/page.css)
docs_file(swagger-ui-bundle.js ${docs_package}/swagger-ui-bundle.js)
docs_file(swagger-ui.css ${docs_package}/swagger-ui.css)
docs_file(licences.txt ${docs_package}/NOTICE ${docs_package}/LICENSE ${docs_package}/swagger-ui-bundle.js.LICENSE.txt)

list(TRANSFORM docs_files REPLACE "^[^=]+=" "" OUTPUT_VARIABLE docs_compressed)
add_custom_target(demilune_docs_files DEPENDS ${docs_compressed})
add_dependencies(demilune_core demilune_docs_files)
dl_embed(demilune_core dl_docs_files ${docs_files})
