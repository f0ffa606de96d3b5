// Which browser, and where the API is; nothing of this is for the package.
import { playwright } from "@vitest/browser-playwright";

const launchOptions = { executablePath: process.env.OAS_CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] };

export default {
  server: { proxy: { "/api": process.env.OAS_API } },
  test: {
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions }),
      instances: [{ browser: "chromium" }],
    },
  },
};
