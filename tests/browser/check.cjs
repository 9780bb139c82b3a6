// Opens a page in Chromium: node check.cjs FOLDER-OF-MODULES PAGE PICTURES-PREFIX; PAGE is a file, or an address of http
// Ends with 1 and says why, if the page logs an error, asks for anything from elsewhere, or axe finds something.
const path = require("path");
const { createRequire } = require("module");

const [folder, file, pictures] = process.argv.slice(2);
const load = createRequire(path.join(folder, "package.json"));
const { chromium } = load("playwright-core");
const { AxeBuilder } = load("@axe-core/playwright");

const address = file.startsWith("http://") ? file : `file://${file}`;
const wrong = [];

async function look(browser, colorScheme) {
  const context = await browser.newContext({ colorScheme, viewport: { width: 1100, height: 900 } });
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && wrong.push(`${colorScheme}: ${message.text()}`));
  page.on("pageerror", (error) => wrong.push(`${colorScheme}: ${error}`));
  page.on("requestfailed", (request) => wrong.push(`${colorScheme}: ${request.url()} failed`));
  page.on("request", (request) => {
    if (request.url() !== address) wrong.push(`${colorScheme}: asks for ${request.url()}`);
  });
  await page.goto(address);
  for (const violation of (await new AxeBuilder({ page }).analyze()).violations) {
    const where = violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 200));
    wrong.push(`${colorScheme}: ${violation.id}: ${violation.help}\n    ${where.join("\n    ")}`);
  }
  await page.screenshot({ path: `${pictures}-${colorScheme}.png`, fullPage: true });
  // Whoever has no mouse reaches every link and every table.
  const reach = await page.locator("a, [tabindex='0']").count();
  const reached = new Set();
  for (let step = 0; step < reach; step += 1) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.outerHTML.slice(0, 120)));
  }
  if (reached.size < reach) wrong.push(`${colorScheme}: ${reached.size} of ${reach} parts are reached by keyboard`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  if (wide) wrong.push(`${colorScheme}: the page is wider than the window`);
  if (colorScheme === "light") await page.pdf({ path: `${pictures}-print.pdf`, format: "A4", printBackground: true });
  await context.close();
}

// What is seen first, small enough for a document.
async function picture(browser, look) {
  const viewport = { width: 1100, height: 1560 };
  const colorScheme = look === "print" ? "light" : look;
  const context = await browser.newContext({ colorScheme, viewport, deviceScaleFactor: 0.75 });
  const page = await context.newPage();
  await page.goto(address);
  await page.emulateMedia({ colorScheme, media: look === "print" ? "print" : "screen" });
  await page.screenshot({ path: `${pictures}-${look}-top.png` });
  await context.close();
}

(async () => {
  const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
  const browser = await chromium.launch({ executablePath, args });
  for (const scheme of ["light", "dark"]) await look(browser, scheme);
  for (const each of process.env.NANNA_PICTURES ? ["light", "dark", "print"] : []) await picture(browser, each);
  await browser.close();
  if (wrong.length > 0) {
    console.error(wrong.join("\n"));
    process.exit(1);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
