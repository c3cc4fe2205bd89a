/* SPDX-License-Identifier: MIT */
/* Shows openapi.json, which lies beside this page, and gives the page its title. */
"use strict";

const ui = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  domNode: document.getElementById("docs"),
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  /* Without this a validator of the makers is asked about the document. */
  validatorUrl: null,
  onComplete: () => {
    const title = ui.specSelectors.info().get("title");
    if (title) document.title = title;
  },
});
