/* SPDX-License-Identifier: MIT */
/*
 * Shows openapi.json, which lies beside this page, and gives the page its title. Of an
 * app that is being written it also shows why a saved file could not be loaded, and
 * what was saved.
 */
"use strict";

const RELOAD_MS = 1000;

function showProblem(problem) {
  const banner = document.getElementById("reload-problem");
  banner.hidden = !problem;
  banner.textContent = problem ? `What you saved was not loaded, and the app goes on as it was:\n${problem}` : "";
}

/* A server that is away for a moment is asked again. */
async function watchReloads(url) {
  let seen = null;
  for (;;) {
    const answer = await fetch(url, { cache: "no-store" }).then((response) => response.json(), () => null);
    if (answer) {
      showProblem(answer.problem);
      if (seen !== null && seen !== answer.generation) ui.specActions.download();
      seen = answer.generation;
    }
    await new Promise((resolve) => setTimeout(resolve, RELOAD_MS));
  }
}

let watched = false;

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
    const reload = ui.specSelectors.specJson().get("x-demilune-reload");
    if (reload && !watched) watchReloads(new URL(reload, document.baseURI));
    watched = true;
  },
});
