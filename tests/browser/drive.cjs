// Drives a headless Chromium through a dashboard, as tests/it/dashboard/browser.rs tells it: one JSON line for each step on
// standard input, one for each answer on standard output. It knows nothing of the pages.
"use strict";
const path = require("node:path");
const readline = require("node:readline");
const modules = path.resolve(process.argv[2], "node_modules");
const puppeteer = require(path.join(modules, "puppeteer-core"));
const axeSource = require(path.join(modules, "axe-core")).source;

const faults = [];

async function open() {
  const browser = await puppeteer.launch({
    executablePath: process.argv[3],
    headless: true,
    // The browser's sandbox is not to be had by root, and shared memory is small in containers.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-color-profile=srgb"],
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (line) => {
    // A page that is not there, or refused, is a step's own matter.
    if (line.type() === "error" && !line.text().startsWith("Failed to load resource")) faults.push(`console: ${line.text()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["127.0.0.1", "localhost"].includes(url.hostname) && url.protocol !== "data:") faults.push(`asks ${url}`);
  });
  return { browser, page };
}

const steps = {
  async size({ page }, { width, height, theme }) {
    await page.setViewport({ width, height: height ?? 900 });
    if (theme) await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  },
  async script({ page }, { enabled }) {
    await page.setJavaScriptEnabled(enabled);
  },
  async go({ page }, { url }) {
    const answer = await page.goto(url, { waitUntil: "load" });
    return { status: answer.status(), url: page.url() };
  },
  async type({ page }, { selector, text }) {
    await page.$eval(selector, (input) => { input.value = ""; });
    await page.type(selector, text);
  },
  async check({ page }, { selector }) {
    await page.click(selector);
  },
  // Presses what has this text: a button, a link, or what opens further choices.
  async press({ page }, { text, loads }) {
    const found = await page.evaluateHandle((text) => {
      const all = document.querySelectorAll("button, a, summary");
      return [...all].find((one) => one.innerText.trim() === text && one.offsetParent !== null);
    }, text);
    const element = found.asElement();
    if (!element) throw new Error(`nothing to press: ${text}`);
    if (loads) await Promise.all([page.waitForNavigation({ waitUntil: "load" }), element.click()]);
    else await element.click();
    return { url: page.url() };
  },
  async key({ page }, { key, times }) {
    for (let count = 0; count < (times ?? 1); count += 1) await page.keyboard.press(key);
    return page.evaluate(() => ({
      focus: (document.activeElement?.innerText ?? "").trim().slice(0, 80),
      outline: getComputedStyle(document.activeElement).outlineStyle,
    }));
  },
  async text({ page }) {
    return { text: await page.evaluate(() => document.body.innerText), url: page.url(), title: await page.title() };
  },
  async awaits({ page }, { text }) {
    await page.waitForFunction((text) => document.body.innerText.includes(text), {}, text);
  },
  // How far the page is wider than the window, and what sticks out.
  async overflow({ page }) {
    return page.evaluate(() => {
      const width = document.documentElement.clientWidth;
      const wide = [...document.querySelectorAll("body *")].filter((one) => {
        const inScroll = one.closest(".scroll, pre, .unseen, .skip");
        return !inScroll && one.getBoundingClientRect().right > width + 1;
      });
      return { over: document.documentElement.scrollWidth - width, wide: wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 120)) };
    });
  },
  async axe({ page }) {
    // Past the page's own policy, which lets nothing else run.
    await page.evaluate(axeSource);
    const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
    return {
      violations: found.violations
        .filter((one) => ["serious", "critical", "moderate"].includes(one.impact))
        .map((one) => `${one.impact} ${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`),
    };
  },
  async picture({ page }, { file, whole }) {
    await page.screenshot({ path: file, fullPage: whole ?? false });
  },
  async faults() {
    return { faults: faults.splice(0) };
  },
};

(async () => {
  const opened = await open();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { step, ...options } = JSON.parse(line);
    let answer;
    try {
      answer = { ok: true, ...(await steps[step](opened, options)) };
    } catch (error) {
      answer = { ok: false, why: String(error.message ?? error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await opened.browser.close();
})();
