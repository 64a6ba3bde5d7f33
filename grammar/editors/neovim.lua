-- Policy documents in Neovim, 0.7 or later: save this as `plugin/gatehouse.lua` in your configuration folder.
-- The server is `apc` itself, which must be found on the PATH.

local command = { "apc", "policy", "lsp" }

local group = vim.api.nvim_create_augroup("gatehouse", {})

vim.api.nvim_create_autocmd({ "BufRead", "BufNewFile" }, {
  group = group,
  pattern = "*.pol",
  callback = function(event)
    vim.bo[event.buf].filetype = "gatehouse"
  end,
})

-- One server for all documents, as long as it lives.
local client

local function start(root)
  if vim.lsp.start then
    return vim.lsp.start({ name = "gatehouse", cmd = command, root_dir = root })
  end
  if not client or not vim.lsp.get_client_by_id(client) then
    client = vim.lsp.start_client({ name = "gatehouse", cmd = command, root_dir = root })
  end
  vim.lsp.buf_attach_client(0, client)
  return client
end

vim.api.nvim_create_autocmd("FileType", {
  group = group,
  pattern = "gatehouse",
  callback = function(event)
    local buffer = event.buf
    vim.bo[buffer].commentstring = "// %s"
    vim.bo[buffer].expandtab = true
    vim.bo[buffer].shiftwidth = 2
    vim.bo[buffer].omnifunc = "v:lua.vim.lsp.omnifunc"
    start(vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buffer), ":p:h"))
    local function map(keys, action)
      vim.keymap.set("n", keys, action, { buffer = buffer })
    end
    map("K", vim.lsp.buf.hover)
    map("gd", vim.lsp.buf.definition)
    map("gr", vim.lsp.buf.references)
    map("<leader>rn", vim.lsp.buf.rename)
    map("<leader>ca", vim.lsp.buf.code_action)
  end,
})
