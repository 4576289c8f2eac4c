"""What Lua code can see and touch: the VM, its values, and the door between the two languages."""
