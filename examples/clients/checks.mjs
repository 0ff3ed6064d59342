// Runs checks by name and counts those that fail.
export async function run(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await check();
      console.log(`ok    ${name}`);
    } catch (err) {
      failed++;
      console.log(`FAIL  ${name}: ${err.stack}`);
    }
  }
  console.log(`${Object.keys(checks).length - failed} of ${Object.keys(checks).length} checks passed`);
  process.exit(failed === 0 ? 0 : 1);
}
