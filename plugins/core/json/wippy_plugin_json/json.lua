--- Module json: encode, decode, validate, validate_string.
local kernel = ...

local type = type
local new_error, encode = kernel.new_error, kernel.json_encode

-- A schema crosses as text: that is what compiled schemas are kept by.
local function schema_text(name, schema)
  local kind = kernel.type(schema)
  if kind == "string" then
    return schema
  elseif kind == "table" then
    local text, err = encode(schema)
    if text then
      return text, nil, true
    end
    return nil, new_error(name .. ": schema: " .. err:message(), "Invalid", false)
  end
  return nil, new_error(name .. ": schema must be a table or JSON text, got " .. kind, "Invalid", false)
end

--- Whether a value satisfies a JSON Schema: true, or false and an Error(Invalid) whose details.errors tell the places.
local function validate(schema, value)
  local text, problem, from_table = schema_text("json.validate", schema)
  if not text then
    return nil, problem
  end
  local document
  document, problem = encode(value)
  if not document then
    return nil, problem
  end
  local valid, err = kernel.command("json.validate", text, document, from_table or false)
  return valid or false, err
end

--- The same for JSON text.
local function validate_string(schema, document)
  local text, problem, from_table = schema_text("json.validate_string", schema)
  if not text then
    return nil, problem
  elseif type(document) ~= "string" or document == "" then
    local what = document == "" and "an empty string" or kernel.type(document)
    return nil, new_error("json.validate_string: expected JSON text, got " .. what, "Invalid", false)
  end
  local valid, err = kernel.command("json.validate", text, document, from_table or false)
  return valid or false, err
end

return { encode = encode, decode = kernel.json_decode, validate = validate, validate_string = validate_string }
