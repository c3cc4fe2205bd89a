# SPDX-License-Identifier: MIT
# The docs page inside the binary: our page, and Swagger UI, compressed once here
# and served so. Makes `dl_docs_files` (core/base/embedded.h). Packages
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

# A build step of one output, made by a shell command from files of the package.
function(docs_make output command)
  add_custom_command(OUTPUT ${output} COMMAND sh -c "${command}" ${output} ${ARGN} DEPENDS ${docs_stamp} VERBATIM)
endfunction()

# -n leaves out times, so that two builds of one state are the same.
docs_make(${docs_build}/swagger-ui-bundle.js.gz "\"${GZIP}\" -9nc \"$1\" > \"$0\"" ${docs_package}/swagger-ui-bundle.js)
docs_make(${docs_build}/swagger-ui.css.gz "\"${GZIP}\" -9nc \"$1\" > \"$0\"" ${docs_package}/swagger-ui.css)
docs_make(${docs_build}/licences.txt "cat \"$@\" > \"$0\"" ${docs_package}/NOTICE ${docs_package}/LICENSE
          ${docs_package}/swagger-ui-bundle.js.LICENSE.txt)

set(docs_made ${docs_build}/swagger-ui-bundle.js.gz ${docs_build}/swagger-ui.css.gz ${docs_build}/licences.txt)
add_custom_target(demilune_docs_files DEPENDS ${docs_made})
add_dependencies(demilune_core demilune_docs_files)
dl_embed(demilune_core dl_docs_files ${docs_source}/index.html ${docs_source}/page.js ${docs_source}/page.css ${docs_made})
