local function hello(name)
  return { hello = name }
end

return { hello = hello }
