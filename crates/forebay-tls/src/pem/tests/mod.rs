mod alike;
mod damage;
mod files;
