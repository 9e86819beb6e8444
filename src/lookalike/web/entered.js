// After a correct token: opens the page without the token in the address, at what the fragment names.

const rest = new URLSearchParams(location.search);
rest.delete("token");
location.replace(`./${rest.size ? `?${rest}` : ""}${location.hash}`);
