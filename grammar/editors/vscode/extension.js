// Starts `apc policy lsp` and lets it speak with the editor.

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = () => {
  const command = workspace.getConfiguration("gatehouse").get("path");
  const server = { command, args: ["policy", "lsp"] };
  const documents = { documentSelector: [{ language: "gatehouse" }] };
  client = new LanguageClient("gatehouse", "Gatehouse", server, documents);
  return client.start();
};

exports.deactivate = () => client?.stop();
