// Gives each of Artillery's users a key out of the ready file of `zoho-mcp demo`.
const { readFileSync } = require("node:fs");

const { clients } = JSON.parse(readFileSync(process.env.READY_FILE ?? "demo.json", "utf8"));

const holding = (key) => (request, _context, _events, done) => {
  request.headers = { ...request.headers, "x-api-key": key };
  done();
};

module.exports = {
  support: holding(clients["customer-service-agent"]),
  reporting: holding(clients["reporting-agent"]),
  dashboard: holding(clients["readonly-dashboard"]),
  stranger: holding("zmcp_nobody_has_this_key"),
};
