-- What a real Neovim makes of the server, step by step; each step is one line of JSON on standard output.

local folder = vim.fn.getcwd()

local function tell(step, what)
  io.stdout:write(vim.json.encode({ step = step, what = what }) .. "\n")
  io.stdout:flush()
end

-- Waits for something to become true; whoever waits too long has failed.
local function await(what, is_true)
  if not vim.wait(60000, is_true, 20) then
    tell("stuck", what)
    vim.cmd("cquit")
  end
end

local function diagnostics()
  local found = {}
  for _, it in ipairs(vim.diagnostic.get(0)) do
    table.insert(found, it.code or it.user_data.lsp.code)
  end
  table.sort(found)
  return found
end

local function text()
  return vim.api.nvim_buf_get_lines(0, 0, -1, false)
end

local function run()
  vim.cmd("edit " .. folder .. "/a.pol")
  tell("filetype", vim.bo.filetype)
  await("the first report", function() return #vim.diagnostic.get(0) > 0 end)
  tell("opened", diagnostics())

  -- The quotes are mended by the fix that the server offers.
  vim.api.nvim_win_set_cursor(0, { 2, 32 })
  local params = vim.lsp.util.make_range_params()
  params.context = { diagnostics = {} }
  local answer = vim.lsp.buf_request_sync(0, "textDocument/codeAction", params, 60000)
  for _, it in pairs(answer) do
    vim.lsp.util.apply_workspace_edit(it.result[1].edit, "utf-16")
  end
  await("the report of the mended text", function() return #vim.diagnostic.get(0) == 0 end)
  tell("mended", text())

  vim.api.nvim_win_set_cursor(0, { 2, 14 })
  vim.lsp.buf.definition()
  await("the definition", function() return vim.api.nvim_buf_get_name(0) == folder .. "/roles.pol" end)
  tell("definition", vim.api.nvim_win_get_cursor(0))

  vim.lsp.buf.rename("oncall")
  local renamed = function() return table.concat(text(), "\n"):find("role oncall") ~= nil end
  await("the rename", renamed)
  vim.cmd("buffer a.pol")
  await("the rename in the other document", function() return table.concat(text(), "\n"):find("oncall") ~= nil end)
  tell("renamed", text())

  vim.api.nvim_buf_set_lines(0, 0, 1, false, { "on   job::/a{" })
  if vim.lsp.buf.format then vim.lsp.buf.format({ timeout_ms = 60000 }) else vim.lsp.buf.formatting_sync({}, 60000) end
  tell("formatted", text())

  vim.api.nvim_buf_set_lines(0, 1, 1, false, { "  { permit  }" })
  vim.api.nvim_win_set_cursor(0, { 2, 11 })
  local completed = vim.lsp.buf_request_sync(0, "textDocument/completion", vim.lsp.util.make_position_params(), 60000)
  local labels = {}
  for _, it in pairs(completed) do
    for _, item in ipairs(it.result) do
      table.insert(labels, item.label)
    end
  end
  tell("completed", labels)
  vim.cmd("qall!")
end

local fine, error = pcall(run)
if not fine then
  tell("failed", tostring(error))
  vim.cmd("cquit")
end
