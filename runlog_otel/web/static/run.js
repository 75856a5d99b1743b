// The page works without this.
"use strict";
document.documentElement.classList.add("js");
