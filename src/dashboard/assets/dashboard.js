// Refreshes the parts of a page that are marked data-live, while the page is seen. Everything else
// works without this script.
(() => {
  "use strict";
  const EVERY = 5000;
  const SOON = 700;
  const KEY = "outtray-updates";
  const button = document.getElementById("updates");
  const parts = () => document.querySelectorAll("[data-live]");
  if (!button || parts().length === 0) return;

  let isPaused = localStorage.getItem(KEY) === "paused";
  let isAsking = false;

  function showState(text, isLate) {
    button.textContent = isPaused ? "Resume updates" : "Pause updates";
    button.setAttribute("aria-pressed", String(isPaused));
    button.title = text;
    document.documentElement.classList.toggle("late", isLate);
  }

  function morph(fresh) {
    for (const part of parts()) {
      const now = fresh.getElementById(part.id);
      if (now) {
        Idiomorph.morph(part, now, {
          morphStyle: "outerHTML",
          ignoreActiveValue: true,
          // What somebody has opened stays open.
          callbacks: {
            beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
          },
        });
      }
    }
  }

  async function refresh() {
    if (isPaused || isAsking || document.visibilityState !== "visible") return;
    isAsking = true;
    try {
      const answer = await fetch(location.href, {
        headers: { "X-Outtray-Refresh": "1" },
        redirect: "error",
        signal: AbortSignal.timeout(8000),
      });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      morph(new DOMParser().parseFromString(await answer.text(), "text/html"));
      showState("Updated every 5 seconds while this page is seen", false);
    } catch {
      showState("The last update failed: what is shown is old", true);
    } finally {
      isAsking = false;
      askSoon();
    }
  }

  // The page lacks something that is being read.
  function askSoon() {
    if (document.querySelector("[data-soon]")) setTimeout(refresh, SOON);
  }

  button.hidden = false;
  button.addEventListener("click", () => {
    isPaused = !isPaused;
    localStorage.setItem(KEY, isPaused ? "paused" : "");
    showState("", false);
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  showState("Updated every 5 seconds while this page is seen", false);
  setInterval(refresh, EVERY);
  askSoon();
})();
