"use strict";
Chart.start();
