import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Faces } from "./Faces";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Faces />
  </StrictMode>,
);
