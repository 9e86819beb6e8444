// After the token was right: goes on to the page without it in the address, and to what the fragment names.

const rest = new URLSearchParams(location.search);
rest.delete("token");
location.replace(`./${rest.size ? `?${rest}` : ""}${location.hash}`);
